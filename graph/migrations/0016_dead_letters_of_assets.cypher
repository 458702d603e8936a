// Dead letters are found by the asset that was read by hand, in order of time.
CREATE INDEX dead_letter_asset IF NOT EXISTS FOR (n:DeadLetter) ON (n.account, n.assetReference, n.keyFold);
