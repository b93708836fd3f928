package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

// cases says which of our tests holds what a case of the conformance suite wants,
// so that a failing case of the suite is looked into here. It has all cases up to
// release 2.4 of the suite, and what is known of later ones.
var cases = []struct {
	file  string
	cases []string // of the suite
	ours  string
}{
	{"basic", []string{"test_basic_refresh_requests", "test_basic_refresh_trusted_data"}, "TestFirstRefresh"},
	{"basic", []string{"test_implicit_refresh"}, "TestDownloadRefreshesFirst"},
	{"basic", []string{"test_invalid_initial_root", "test_unsigned_initial_root"}, "TestBadFirstRoot"},
	{"basic", []string{"test_unsigned_metadata", "test_url_and_metadata_version_mismatch"}, "TestBadFileEndsTheRefreshThere"},
	{"basic", []string{"test_timestamp_content_changes"}, "TestSameTimestampVersionChangesNothing"},
	{"basic", []string{"test_basic_metadata_hash_support"}, "TestDigestsOfMetadata"},
	{"basic", []string{"test_metadata_bytes_match"}, "TestBytesAreStoredAsServed"},
	{"basic", []string{"test_new_targets_version_mismatch"}, "TestNewTargetsOfNoSnapshot"},
	{"basic", []string{"test_custom_fields", "test_deprecated_keyid_hash_algorithms"}, "TestUnknownFields"},
	{"basic", []string{"test_timestamp_404", "test_snapshot_404", "test_targets_404"}, "TestMissingFiles"},
	{"basic", []string{"test_incorrect_metadata_type"}, "TestSnapshotInThePlaceOfTheTimestamp"},
	{"basic", []string{"test_faketime"}, "TestClock"},

	{"expiration", []string{"test_root_expired", "test_timestamp_expired", "test_snapshot_expired", "test_targets_expired", "test_expired_local_root", "test_expired_local_timestamp"}, "TestExpiry"},
	{"delegated_expiration", []string{"test_delegated_targets_expired", "test_expired_local_delegated_targets", "test_expired_local_delegated_targets_updates"}, "TestExpiredDelegation"},
	{"expiration", []string{"test_TestDelegateConsistentSnapshotDisabled"}, "TestWithoutConsistentSnapshots"},

	{"file_download", []string{"test_client_downloads_expected_file", "test_client_downloads_expected_file_in_sub_dir", "test_multiple_changes_to_target", "test_artifact_cache"}, "TestDownload"},
	{"file_download", []string{"test_repository_substitutes_target_file"}, "TestSubstitutedTarget"},
	{"file_download", []string{"test_download_with_hash_algorithms", "test_download_with_unknown_hash_algorithm"}, "TestHashAlgorithms"},

	{"keys", []string{"test_snapshot_does_not_meet_threshold"}, "TestThresholdBelow"},
	{"keys", []string{"test_snapshot_has_too_few_keys", "test_root_has_keys_but_not_snapshot"}, "TestThresholdAboveTheKeys"},
	{"keys", []string{"test_duplicate_keys", "test_duplicate_keys_root"}, "TestOneKeyManyTimes"},
	{"keys", []string{"test_duplicate_sig_keyids"}, "TestDuplicateSignature"},
	{"keys", []string{"test_keytype_and_scheme"}, "TestKeyTypes"},
	{"keys", []string{"test_invalid_sig_in_valid_metadata"}, "TestEmptySignatureBesideAGoodOne"},

	{"quoting_issues", []string{"test_unusual_role_name"}, "TestUnusualRoleNames"},

	{"rollback", []string{"test_simple_snapshot_rollback", "test_new_timestamp_version_rollback", "test_snapshot_rollback", "test_targets_rollback", "test_new_snapshot_version_mismatch"}, "TestRollback"},
	{"rollback", []string{"test_new_targets_fast_forward_recovery", "test_new_snapshot_fast_forward_recovery", "test_new_timestamp_fast_forward_recovery"}, "TestFastForwardRecovery"},

	{"static_repositories", []string{"test_static_repository"}, "TestFieldsOfOtherTools"},

	{"updater_delegation_graphs", []string{"test_graph_traversal"}, "TestOrderOfDelegations"},
	{"updater_delegation_graphs", []string{"test_targetfile_search"}, "TestFindTargets"},
	{"updater_delegation_graphs", []string{"test_cached_role_is_verified_against_current_delegator"}, "TestEachDelegatorVouchesForItself"},

	{"updater_key_rotations", []string{"test_root_rotation"}, "TestRootRotation"},
	{"updater_key_rotations", []string{"test_non_root_rotations"}, "TestRotationOfOtherRoles"},
}

func TestCasesNameOurTests(t *testing.T) {
	ours := map[string]bool{}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range files {
		if !strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				ours[f.Name.Name] = true
			}
		}
	}
	seen := map[string]bool{}
	for _, c := range cases {
		if !ours[c.ours] {
			t.Errorf("%s: there is no %s", c.file, c.ours)
		}
		for _, name := range c.cases {
			if seen[name] {
				t.Errorf("%s is there twice", name)
			}
			seen[name] = true
		}
	}
}
