"""Interactive Brokers: link, feed and broker over one client library; none of its objects leaves this package."""
