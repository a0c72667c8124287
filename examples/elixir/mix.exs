defmodule Words.MixProject do
  use Mix.Project

  def project do
    [
      app: :words,
      version: "0.1.0",
      elixir: "~> 1.14",
      start_permanent: Mix.env() == :prod,
      elixirc_paths: ["lib", Path.expand("../../bindings/erlang/elixir", __DIR__)],
      deps: deps()
    ]
  end

  def application do
    [extra_applications: [:logger], mod: {Words.Application, []}]
  end

  # By path, never by name: public registries hold an unrelated package called primer.
  defp deps do
    [{:primer, path: "../../bindings/erlang", manager: :rebar3}]
  end
end
