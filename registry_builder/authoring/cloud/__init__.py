"""The account that a registry lives in: who may assume its roles at AWS, and one template of everything it needs.

    github_identity    what GitHub's tokens say of a job, and the trust policies that accept exactly these jobs
    stack              the CloudFormation template of a registry's account
    stack_commands     what is run to create the stack, and to use it
    stack_outputs      what the stack made, and what registry.toml and GitHub need of it
    _stack_realms      the realms of a template, checked: every problem at once
    _stack_policies    their roles and policies, as `registry_builder.storage.access_policy` has them

Nothing here talks to a cloud: it makes documents.
"""
