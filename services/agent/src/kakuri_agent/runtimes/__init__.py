"""What runs workloads: a sidecar, a zone node in this process, or a simulation.

Each is a `Runtime` (`_protocol`), which is all that the reconciler knows. A sidecar (`_sidecar`)
and a zone node (`_node_zones`) offer the operations of `_zone_operations`, and `ZoneRuntime` makes
a runtime of either: it repeats operations until they are carried out (`_zone_runtime`), and follows
a stream of events as the observed state (`_zone_view`, `_zone_specs`, `_zone_logs`). `_choice`
opens the runtime that the command line names, and imports no other.

The package `kakuri_agent` exports the public names.
"""
