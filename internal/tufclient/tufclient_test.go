package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

const day = 24 * time.Hour

// TestMain makes the test binary the program itself, for tests of its exit code.
func TestMain(m *testing.M) {
	if os.Getenv("TUFCLIENT_MAIN") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestFirstRefresh(t *testing.T) {
	r := newRepo(t)
	r.init()
	r.wantRequests("")
	r.refresh(true)
	r.wantRequests("2.root timestamp 1.snapshot 1.targets")
	for _, role := range []string{"root", "timestamp", "snapshot", "targets"} {
		if string(r.stored(role)) != string(r.files[role][0]) {
			t.Errorf("%s is not stored as it was served", role)
		}
	}
}

func TestDownloadRefreshesFirst(t *testing.T) {
	r := newRepo(t)
	r.init()
	r.download("no such target", false)
	r.wantRequests("2.root timestamp 1.snapshot 1.targets")
	r.trusts("root 1", "timestamp 1", "snapshot 1", "targets 1")
}

func TestBadFirstRoot(t *testing.T) {
	for name, change := range map[string]func(doc object){
		"without version": func(doc object) { delete(doc["signed"].(object), "version") },
		"other signature": func(doc object) {
			doc["signatures"].([]any)[0].(object)["sig"] = "3045022100ee448afe2d25dd1f05afedac83a24e7df90f203615221434979153dc7cea6d4702207710015851e571885a77db8a6e42c4b2983a59b9e1ebec91178dfa2fb0d42ab8"
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			r.edit("root", change)
			if err := r.initWith(r.files["root"][0]); err == nil {
				t.Error("init: want an error")
			}
			r.refresh(false)
			r.wantRequests("")
		})
	}
}

// What comes before the bad file is kept, nothing after it is asked for.
func TestBadFileEndsTheRefreshThere(t *testing.T) {
	upTo := map[string][]string{
		"root":      {"root 1"},
		"timestamp": {"root 2"},
		"snapshot":  {"root 2", "timestamp 2"},
		"targets":   {"root 2", "timestamp 2", "snapshot 2"},
	}
	for role, want := range upTo {
		t.Run(role+" unsigned", func(t *testing.T) {
			r := newRepo(t)
			r.signers[role] = nil
			r.publish("root", "targets", "snapshot", "timestamp")
			r.init()
			r.refresh(false)
			r.trusts(want...)
		})
		if role == "timestamp" {
			continue
		}
		t.Run(role+" with another version than its name", func(t *testing.T) {
			r := newRepo(t)
			r.docs[role]["version"] = 2 // and 3 when published, in the place of 2
			r.publish("root", "targets", "snapshot", "timestamp")
			r.init()
			r.refresh(false)
			r.trusts(want...)
		})
	}
}

func TestSameTimestampVersionChangesNothing(t *testing.T) {
	r := newRepo(t)
	r.init()
	r.refresh(true)
	before := string(r.stored("timestamp"))
	r.restart("timestamp")
	r.docs["timestamp"]["meta"].(object)["snapshot.json"] = object{"version": 100}
	r.publish("timestamp")
	r.requests()
	r.refresh(true)
	r.wantRequests("2.root timestamp")
	if string(r.stored("timestamp")) != before {
		t.Error("the timestamp was replaced")
	}
}

func TestDigestsOfMetadata(t *testing.T) {
	r := newRepo(t)
	r.digests = true
	r.publish("targets", "snapshot", "timestamp")
	r.init()
	r.refresh(true)
	r.publish("targets")
	meta := r.docs["snapshot"]["meta"].(object)["targets.json"].(object)
	meta["hashes"] = object{"sha256": "46419349341cfb2d95f6ae3d4cd5c3d3dd7f4673985dad42a45130be5e0531a0"}
	r.publish("snapshot", "timestamp")
	r.refresh(false)
	r.trusts("root 1", "timestamp 3", "snapshot 3", "targets 2")
}

func TestBytesAreStoredAsServed(t *testing.T) {
	r := newRepo(t)
	r.files["timestamp"][0] = append(r.files["timestamp"][0], ' ')
	r.init()
	r.refresh(true)
	if string(r.stored("timestamp")) != string(r.files["timestamp"][0]) {
		t.Error("timestamp.json was written anew")
	}
}

func TestNewTargetsOfNoSnapshot(t *testing.T) {
	r := newRepo(t)
	r.init()
	r.refresh(true)
	r.publish("targets")
	r.requests()
	r.refresh(true)
	r.wantRequests("2.root timestamp")
	if got := r.version("targets"); got != 1 {
		t.Errorf("targets %d", got)
	}
}

func TestUnknownFields(t *testing.T) {
	r := newRepo(t)
	r.init()
	r.refresh(true)
	s := r.signer("ecdsa")
	s.key["extra-field"] = object{"a": 1, "b": 2}
	s.key["keyid_hash_algorithms"] = "md5"
	s.rename()
	r.addKey("root", "root", s)
	r.docs["root"]["Custom-Field"] = "value"
	r.roles()["root"].(object)["another-field"] = "value"
	r.publish("root")
	r.refresh(true)
	if got := r.version("root"); got != 2 {
		t.Errorf("root %d", got)
	}
}

func TestMissingFiles(t *testing.T) {
	t.Run("timestamp", func(t *testing.T) {
		r := newRepo(t)
		r.init()
		r.refresh(true)
		r.restart("timestamp")
		r.requests()
		r.refresh(false)
		r.wantRequests("2.root timestamp")
	})
	t.Run("snapshot", func(t *testing.T) {
		r := newRepo(t)
		r.init()
		r.refresh(true)
		r.docs["timestamp"]["meta"].(object)["snapshot.json"] = object{"version": 2}
		r.publish("timestamp")
		r.requests()
		r.refresh(false)
		r.wantRequests("2.root timestamp 2.snapshot")
		r.trusts("root 1", "timestamp 2", "snapshot 1", "targets 1")
	})
	t.Run("targets", func(t *testing.T) {
		r := newRepo(t)
		r.init()
		r.refresh(true)
		r.docs["snapshot"]["meta"].(object)["targets.json"] = object{"version": 2}
		r.publish("snapshot", "timestamp")
		r.requests()
		r.refresh(false)
		r.wantRequests("2.root timestamp 2.snapshot 2.targets")
		r.trusts("root 1", "timestamp 2", "snapshot 2", "targets 1")
	})
}

func TestSnapshotInThePlaceOfTheTimestamp(t *testing.T) {
	r := newRepo(t)
	r.init()
	r.addKey("root", "snapshot", r.signers["timestamp"][0])
	r.docs["snapshot"]["meta"] = object{"snapshot.json": object{"version": 1}}
	r.publish("root", "snapshot")
	r.files["timestamp"] = append(r.files["timestamp"], r.files["snapshot"][1])
	r.refresh(false)
	r.trusts("root 2")
}

func TestExpiry(t *testing.T) {
	past := func(r *repo, role string) { r.docs[role]["expires"] = stamp(r.now.Add(-5 * day)) }
	t.Run("root", func(t *testing.T) {
		r := newRepo(t)
		r.init()
		r.refresh(true)
		r.publish("root")
		past(r, "root")
		r.publish("root")
		r.refresh(false)
		r.trusts("root 3", "timestamp 1", "snapshot 1", "targets 1")
	})
	for role, want := range map[string][]string{
		"timestamp": {"root 1", "timestamp 1", "snapshot 1", "targets 1"},
		"snapshot":  {"root 1", "timestamp 2", "snapshot 1", "targets 1"},
		"targets":   {"root 1", "timestamp 2", "snapshot 2", "targets 1"},
	} {
		t.Run(role, func(t *testing.T) {
			r := newRepo(t)
			r.init()
			r.refresh(true)
			past(r, role)
			r.publish([]string{"targets", "snapshot", "timestamp"}[slices.Index([]string{"targets", "snapshot", "timestamp"}, role):]...)
			r.refresh(false)
			r.trusts(want...)
		})
	}
	t.Run("clock of the wrapper", func(t *testing.T) {
		r := newRepo(t)
		r.docs["root"]["expires"] = stamp(r.now.Add(7 * day))
		r.publish("root")
		r.init()
		r.refresh(true)
		r.now = r.now.Add(8 * day)
		r.refresh(false)
	})
	t.Run("local files that expired do not stand in the way", func(t *testing.T) {
		r := newRepo(t)
		r.docs["timestamp"]["expires"] = stamp(r.now.Add(7 * day))
		r.docs["root"]["expires"] = stamp(r.now.Add(7 * day))
		r.publish("root", "timestamp")
		r.init()
		r.refresh(true)
		r.docs["timestamp"]["expires"] = stamp(r.now.Add(21 * day))
		r.docs["root"]["expires"] = stamp(r.now.Add(21 * day))
		r.publish("root", "targets", "snapshot", "timestamp")
		r.now = r.now.Add(18 * day)
		r.refresh(true)
		r.trusts("root 3", "timestamp 3", "snapshot 2", "targets 2")
	})
}

func TestExpiredDelegation(t *testing.T) {
	world := func(t *testing.T, expires time.Duration) *repo {
		r := newRepo(t)
		r.init()
		r.delegate("targets", "delegated", false, "sub/*")
		r.docs["delegated"]["expires"] = stamp(r.now.Add(expires))
		r.artifact("delegated", "sub/first", "first")
		r.artifact("delegated", "sub/second", "second")
		r.publish("delegated", "targets", "snapshot", "timestamp")
		return r
	}
	t.Run("from the start", func(t *testing.T) {
		r := world(t, -day)
		r.refresh(true)
		r.download("sub/first", false)
		r.wantDownloaded()
		r.trusts("root 1", "timestamp 2", "snapshot 2", "targets 2")
	})
	t.Run("later", func(t *testing.T) {
		r := world(t, 7*day)
		r.download("sub/first", true)
		r.now = r.now.Add(18 * day)
		r.download("sub/second", false)
		r.wantDownloaded("first")
	})
	t.Run("renewed", func(t *testing.T) {
		r := world(t, 7*day)
		r.download("sub/first", true)
		r.docs["delegated"]["expires"] = stamp(r.now.Add(21 * day))
		r.publish("delegated", "snapshot", "timestamp")
		r.now = r.now.Add(18 * day)
		r.download("sub/second", true)
		r.wantDownloaded("first", "second")
	})
}

func TestUnusualRoleNames(t *testing.T) {
	for role, escaped := range map[string]string{"?": "%3F", "#": "%23", "/role": "%2Frole", "../role": "..%2Frole"} {
		t.Run(role, func(t *testing.T) {
			r := newRepo(t)
			r.delegate("targets", role, false, "*")
			r.publish(role, "targets", "snapshot", "timestamp")
			r.init()
			r.download("nothing", false)
			r.wantRequests("2.root timestamp 2.snapshot 2.targets 1." + escaped)
			r.trusts("root 1", "timestamp 2", "snapshot 2", "targets 2", "product."+escaped+" 1")
		})
	}
}

func TestCommandLine(t *testing.T) {
	r := newRepo(t)
	r.init()
	for _, args := range [][]string{{}, {"init"}, {"refresh", "more"}, {"frob"}, {"--frob", "refresh"}, {"download"}} {
		if err := r.client(args...); err == nil {
			t.Errorf("%q: want an error", args)
		}
	}
	exe, err := os.Executable()
	r.must(err)
	for _, tt := range []struct {
		fake string
		args []string
		code int
	}{
		{"", []string{"refresh"}, 0},
		{"+29d", []string{"refresh"}, 0},
		{"+2678400", []string{"refresh"}, 1}, // 31 days
		{"soon", []string{"refresh"}, 1},
		{"", []string{"frob"}, 1},
	} {
		cmd := exec.Command(exe, append([]string{"--metadata-dir", filepath.Join(r.dir, "metadata"), "--metadata-url", r.server.URL + "/metadata"}, tt.args...)...)
		cmd.Env = append(os.Environ(), "TUFCLIENT_MAIN=1", "FAKETIME="+tt.fake)
		cmd.Run()
		if got := cmd.ProcessState.ExitCode(); got != tt.code {
			t.Errorf("FAKETIME=%s %q: exit code %d, want %d", tt.fake, tt.args, got, tt.code)
		}
	}
}

func TestClock(t *testing.T) {
	near := func(a, b time.Time) bool { return a.Sub(b).Abs() < time.Hour }
	moment := time.Date(2030, 1, 2, 3, 4, 5, 0, time.Local)
	for fake, want := range map[string]time.Time{
		"":                     time.Now(),
		"+18d":                 time.Now().Add(18 * day),
		"-1.5y":                time.Now().Add(-547*day - 12*time.Hour),
		"+86400":               time.Now().Add(day),
		"+1440m":               time.Now().Add(day),
		"2030-01-02 03:04:05":  moment,
		"@2030-01-02 03:04:05": moment,
	} {
		if now, err := clock(fake); err != nil || !near(now(), want) {
			t.Errorf("%q: got %v, want %s", fake, err, want)
		}
	}
	for _, bad := range []string{"x", "+", "+d", "+1w", "@", "+1e300"} {
		if _, err := clock(bad); err == nil {
			t.Errorf("%q: want an error", bad)
		}
	}
}

// A repository of tuf-on-ci marks who is still to sign with an empty signature.
func TestEmptySignatureBesideAGoodOne(t *testing.T) {
	for _, sig := range []string{"", "3045022100ee448afe2d25dd1f05afedac83a24e7df90f203615221434979153dc7cea6d4702207710015851e571885a77db8a6e42c4b2983a59b9e1ebec91178dfa2fb0d42ab8"} {
		r := newRepo(t)
		first := r.signers["timestamp"][0].id
		r.addKey("root", "timestamp", r.signer("ecdsa"))
		r.publish("root", "timestamp")
		r.edit("timestamp", func(doc object) {
			for _, s := range doc["signatures"].([]any) {
				if s := s.(object); s["keyid"] == first {
					s["sig"] = sig
				}
			}
		})
		r.init()
		r.refresh(true)
	}
}
