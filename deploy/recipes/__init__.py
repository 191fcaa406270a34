"""What pyinfra runs, one file a verb; a deploy of somebody else's imports the functions.

    pyinfra deploy/inventories/staging.py deploy/recipes/release.py
    from deploy.recipes.release import release

Where pyinfra runs a file instead of importing it, `__name__` is "builtins".
"""
