// Templates of all accounts whose devices may fall silent.
CREATE INDEX template_silence IF NOT EXISTS FOR (n:Template) ON (n.silence);
