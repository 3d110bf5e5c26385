-- What the fifth schema left behind: written once, by that schema, and not to be changed.
PRAGMA application_id = 1262570325;
PRAGMA user_version = 5;
CREATE TABLE registry (only INTEGER PRIMARY KEY CHECK (only = 1), version INTEGER NOT NULL, session INTEGER, replaced INTEGER);
INSERT INTO "registry" VALUES(1,0,NULL,NULL);
CREATE TABLE workloads (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        version INTEGER,
        state TEXT,
        registered_at REAL,
        changed_at REAL,
        reason TEXT,
        message TEXT,
        exit_code INTEGER,
        pod_sandbox_id TEXT,
        container_id TEXT,
        address TEXT,
        started_at REAL,
        ended_at REAL,
        attempt INTEGER,
        restart_at REAL,
        wanted TEXT,
        grace_seconds INTEGER,
        image TEXT,
        runtime_class TEXT,
        memory_mb INTEGER,
        cpu_millicores INTEGER,
        command TEXT,
        args TEXT,
        env TEXT,
        working_dir TEXT,
        "user" TEXT,
        labels TEXT,
        restart_policy TEXT,
        max_restarts INTEGER
    , history TEXT, failures INTEGER NOT NULL DEFAULT 0, pull TEXT, image_digest TEXT);
INSERT INTO "workloads" VALUES(1,'wl-run',3,'pending',1000.0,1003.0,'BackOff','the last run ended: Error, exit code 3',3,'sandbox','container',NULL,1001.0,NULL,1,1013.0,'run',0,'nginx:latest','edera-zone',512,500,'sh
-c','two\nlines
\\','A
1','/srv','1000:0','team
x','always',7,'1001.5
running
0



1003.0
pending
1
=BackOff
=the last run ended: Error, exit code 3
3',1,'never','sha256:0000000000000000000000000000000000000000000000000000000000000000');
INSERT INTO "workloads" VALUES(2,'wl-end',5,'failed',1004.0,1005.0,'ImagePullFailed','no such image',NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,'run',0,'app:1','edera-zone',64,100,NULL,NULL,NULL,NULL,NULL,NULL,'never',100,'1005.0
failed
0
=ImagePullFailed
=no such image
',0,NULL,NULL);
INSERT INTO "workloads" VALUES(3,'wl-stop',8,'running',1006.0,1008.0,NULL,NULL,NULL,'s2','c2',NULL,1006.5,NULL,0,NULL,'stop',5,'app:1','edera-zone',64,100,NULL,NULL,NULL,NULL,NULL,NULL,'never',100,'1007.0
running
0


',0,NULL,NULL);
