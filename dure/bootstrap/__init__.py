"""The one place that picks implementations and wires them: the plane, and the agent of a site on this machine.

    plane     store, signing key, controller and API: everything that one process of the plane is; and its database as a whole
    site      journal, link and local backend: everything that the agent of this machine is; and what jobs run here
    machine   this machine's clock, chance and data folder

Nothing is exported: an agent, which runs beside the jobs for years, loads nothing of a plane. What may never live here: a
decision, a rule, or anything that a test could not replace by handing over another part.
"""
