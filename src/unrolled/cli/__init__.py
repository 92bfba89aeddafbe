"""The command line: `unrolled COMMAND`, one thin file a command, found by looking into this folder."""
