"""Other memories, measured by the same harness: each in a virtual environment and a process of its own.

known        which there are, what they need, and why one cannot run
environment  their virtual environments, made on request
process      a peer's process, and the protocol spoken with it
system       a peer as a system of the harness, its context cut by the same rules as ours
adapters     what runs inside a peer's process; nothing of it is imported here
"""
