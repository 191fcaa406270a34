"""Files as the tools of infra/ read and write them: YAML with places, mistakes, whole files."""
