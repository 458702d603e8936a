// What was decoded is found by account and by time, and goes when its time is over.
CREATE INDEX payload_account IF NOT EXISTS FOR (n:Payload) ON (n.account, n.receivedAt);
CREATE INDEX payload_time IF NOT EXISTS FOR (n:Payload) ON (n.receivedAt);

// What a payload gave a device: once each, found by the device in the order in which
// payloads came.
CREATE CONSTRAINT decoding_key IF NOT EXISTS FOR (n:Decoding) REQUIRE n.key IS UNIQUE;
CREATE INDEX decoding_device IF NOT EXISTS FOR (n:Decoding) ON (n.account, n.device, n.keyFold);
