// Templates of all accounts whose devices may fall silent.
CREATE INDEX template_silence IF NOT EXISTS FOR (n:Template) ON (n.silence);
// Templates of all accounts whose twins raise alarms.
CREATE INDEX template_alarmed IF NOT EXISTS FOR (n:Template) ON (n.alarmed);

// What a twin is to become.
CREATE CONSTRAINT desired_twin IF NOT EXISTS FOR (n:Desired) REQUIRE n.twin IS UNIQUE;

// Commands of a device, the newest last; those that wait to be sent, and those
// of all accounts that may still be answered.
CREATE INDEX command_device IF NOT EXISTS FOR (n:Command) ON (n.account, n.device, n.keyFold);
CREATE INDEX command_state IF NOT EXISTS FOR (n:Command) ON (n.account, n.device, n.state, n.keyFold);
CREATE INDEX command_open IF NOT EXISTS FOR (n:Command) ON (n.openUntil);

// Alarms: one of a twin and a rule is active at a time, and is raised once for
// the same reason.
CREATE CONSTRAINT alarm_active IF NOT EXISTS FOR (n:Alarm) REQUIRE n.active IS UNIQUE;
CREATE CONSTRAINT alarm_raised IF NOT EXISTS FOR (n:Alarm) REQUIRE n.raised IS UNIQUE;
CREATE INDEX alarm_account IF NOT EXISTS FOR (n:Alarm) ON (n.account, n.keyFold);
CREATE INDEX alarm_open IF NOT EXISTS FOR (n:Alarm) ON (n.account, n.open, n.keyFold);
CREATE INDEX alarm_twin IF NOT EXISTS FOR (n:Alarm) ON (n.account, n.twin, n.keyFold);
