"""Channels: the ways in which reminders and digests reach a person."""
