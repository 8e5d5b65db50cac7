"""When the advisor is asked, what it is told, how long an answer lasts, and the executor around a back end."""
