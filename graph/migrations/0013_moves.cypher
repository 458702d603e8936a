// Links that begin in the past have measurements to move.
CREATE INDEX link_moving IF NOT EXISTS FOR ()-[l:LINKED_TO]-() ON (l.movingFrom);
