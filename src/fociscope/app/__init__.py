"""The app in the browser: captures in, layered maps out, on 127.0.0.1 and nowhere else.

`server.serve` starts it. `guard.py` and `server.py` are the door; `home.py` is the folder of all
visitors, `session.py` what one visitor has, `jobs.py` their work off the event loop;
`capture_input.py`, `following.py`, `scene.py`, `scores.py` and `methods.py` do the work and know no
page; `plots.py`, `side.py`, `stack.py` and `traces.py` draw; `page.py` and the panels are what is
seen. NiceGUI is imported only in `server.py`, the page, its panels and their controls.
"""
