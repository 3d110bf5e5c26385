import kakuri_json
from kakuri_workload import PullPolicy, RestartPolicy, ZoneSpec
from kakuri_workload.testing import zone_spec
from kakuri_zones import _labels as labels

SPEC = zone_spec("web-1", labels={"team": "x"})


def test_spec_hash_depends_on_every_field_except_the_attempt():
    same = zone_spec(
        "web-1",
        image="nginx:latest",
        memory_mb=512,
        cpu_millicores=500,
        labels={"team": "x"},
        attempt=9,
    )
    other = zone_spec("web-1", labels={"team": "y"})
    assert labels.spec_hash(same) == labels.spec_hash(SPEC)
    assert labels.spec_hash(other) != labels.spec_hash(SPEC)


def test_spec_hash_does_not_depend_on_the_restart_policy():
    restarted = zone_spec(
        "web-1", labels={"team": "x"}, restart_policy=RestartPolicy.ALWAYS, max_restarts=1
    )
    assert labels.spec_hash(restarted) == labels.spec_hash(SPEC)


def test_spec_hash_of_a_known_spec_never_changes():
    # Zones outlive the process that started them, and the next one compares their hashes.
    plain = zone_spec("web-1")
    assert labels.spec_hash(plain) == "444601e882725e5042097095214b76a5"
    other_class = zone_spec("web-1", runtime_class="other")
    assert labels.spec_hash(other_class) == "60eddb75aebbe62f2a9b6db6d59a8875"


def test_spec_hash_of_a_spec_with_every_field_never_changes():
    full = zone_spec(
        "web-1", command=("a",), args=("b", "\n"), env={"K": "v"}, working_dir="/w", user="1:1",
        labels={"team": "x"}, pull=PullPolicy.ALWAYS, restart_policy=RestartPolicy.ALWAYS,
    )  # fmt: skip
    assert labels.spec_hash(full) == "86063601c0c1fd86e6eb223abf6ec6dd"


def test_labels_of_the_spec_do_not_replace_labels_of_kakuri():
    sneaky = zone_spec(
        "web-1",
        image="a",
        memory_mb=1,
        cpu_millicores=1,
        labels={"kakuri.dev/workload-id": "other"},
    )
    assert labels.sandbox_labels(sneaky, "0f")["kakuri.dev/workload-id"] == "web-1"


def test_spec_annotation_decodes_to_the_spec():
    written = labels.container_annotations(SPEC)["kakuri.dev/spec"]
    assert kakuri_json.decode(written, type=ZoneSpec) == SPEC
