"""The version of this service. The build reads it from here."""

VERSION = "0.2.0"
