"""The account that a registry lives in: who may assume its roles at AWS, and one template of everything it needs.

    github_identity    what GitHub's tokens say of a job, and the trust policies that accept exactly these jobs

Nothing here talks to a cloud: it makes documents.
"""
