"""Settings, warnings, long stack traces, events, reports of unhandled rejections."""
