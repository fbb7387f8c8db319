"""The commands, one module each: ``run(arguments, options)`` gives the exit code."""
