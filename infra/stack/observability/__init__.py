"""What Prometheus is told of a stack: whom to ask, what is an alert, what is on the dashboard."""
