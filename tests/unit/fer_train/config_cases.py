"""Size phases for tests of the config."""


def phases(*pairs):
    return [{"until_epoch": until, "image_size": size} for until, size in pairs]
