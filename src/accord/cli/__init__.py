"""One file a command: parse, call, print."""

from accord.cli.main import main as main
