"""A front whose bots run on another platform: the page, the invitations and the phone's webhook stay here, and what
callers say and hear goes past this machine. Spoken is what Pipecat Cloud speaks: `/start`, and offers by a session's
path. See docs/decisions/0018-a-front-with-its-bots-elsewhere.md.
"""
