"""fer-deploy archive: settings and printing around `fer_deploy.archive`, a file a command."""
