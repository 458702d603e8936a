// Dead letters are found by the device that they came from, in order of time.
CREATE INDEX dead_letter_device IF NOT EXISTS FOR (n:DeadLetter) ON (n.account, n.reference, n.keyFold);
