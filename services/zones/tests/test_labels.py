import kakuri_json
from kakuri_workload import ZoneSpec
from kakuri_zones import _labels as labels

SPEC = ZoneSpec("web-1", "nginx:latest", 512, 500, labels={"team": "x"})


def test_spec_hash_depends_on_every_field_except_the_attempt():
    same = ZoneSpec("web-1", "nginx:latest", 512, 500, labels={"team": "x"}, attempt=9)
    other = ZoneSpec("web-1", "nginx:latest", 512, 500, labels={"team": "y"})
    assert labels.spec_hash(same) == labels.spec_hash(SPEC)
    assert labels.spec_hash(other) != labels.spec_hash(SPEC)


def test_spec_hash_of_a_known_spec_never_changes():
    # Zones outlive the process that started them, and the next one compares their hashes.
    plain = ZoneSpec("web-1", "nginx:latest", 512, 500)
    assert labels.spec_hash(plain) == "444601e882725e5042097095214b76a5"


def test_labels_of_the_spec_do_not_replace_labels_of_kakuri():
    sneaky = ZoneSpec("web-1", "a", 1, 1, labels={"kakuri.dev/workload-id": "other"})
    assert labels.sandbox_labels(sneaky, "0f")["kakuri.dev/workload-id"] == "web-1"


def test_spec_annotation_decodes_to_the_spec():
    written = labels.container_annotations(SPEC)["kakuri.dev/spec"]
    assert kakuri_json.decode(written, type=ZoneSpec) == SPEC
