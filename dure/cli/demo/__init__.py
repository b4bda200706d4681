"""`dure demo`: a fresh farm, the main job of a tenant over the public API, and a check of every promise that it makes.

`farm` brings the farm up in a temporary folder and takes it away again, whatever happens; `story` does what an officer and a
tenant do; `checks` holds what came of it against what was promised; `view` shows it. `jobs/` are the real programs that the
farm runs, shipped as they are. May never live here: a way around the API, or a number that was not measured in this very run.
"""
