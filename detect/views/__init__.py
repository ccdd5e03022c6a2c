"""A finding as others read it: OCSF, ECS, Alertmanager, text."""
