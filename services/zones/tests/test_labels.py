import kakuri_json
from kakuri_registry import ZoneSpec
from kakuri_zones import _labels as labels

SPEC = ZoneSpec("web-1", "nginx:latest", 512, 500, labels={"team": "x"})


def test_the_hash_does_not_depend_on_the_attempt_and_on_everything_else():
    same = ZoneSpec("web-1", "nginx:latest", 512, 500, labels={"team": "x"}, attempt=9)
    other = ZoneSpec("web-1", "nginx:latest", 512, 500, labels={"team": "y"})
    assert labels.spec_hash(same) == labels.spec_hash(SPEC)
    assert labels.spec_hash(other) != labels.spec_hash(SPEC)


def test_the_hash_is_the_same_in_every_version():
    # Zones outlive the process that started them: what they carry has to be recognized.
    plain = ZoneSpec("web-1", "nginx:latest", 512, 500)
    assert labels.spec_hash(plain) == "444601e882725e5042097095214b76a5"


def test_a_submitters_labels_do_not_hide_ours():
    sneaky = ZoneSpec("web-1", "a", 1, 1, labels={"kakuri.dev/workload-id": "other"})
    assert labels.sandbox_labels(sneaky, "0f")["kakuri.dev/workload-id"] == "web-1"


def test_the_spec_can_be_read_back():
    written = labels.container_annotations(SPEC)["kakuri.dev/spec"]
    assert kakuri_json.decode(written, type=ZoneSpec) == SPEC
