// Templates of measures that are not kept for ever.
CREATE INDEX template_kept IF NOT EXISTS FOR (n:Template) ON (n.kept);
