import Config

# The application's own member; `seeds: ["host:port"]` would join others.
config :primer, cluster: "words", name: "elixir"
