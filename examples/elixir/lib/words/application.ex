defmodule Words.Application do
  @moduledoc false
  use Application

  @impl true
  def start(_type, _args) do
    Supervisor.start_link([{Words.Counter, concurrency: 2, credit: 8}],
      strategy: :one_for_one,
      name: Words.Supervisor
    )
  end
end
