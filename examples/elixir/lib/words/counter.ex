defmodule Words.Counter do
  @moduledoc "A worker: one text in, one count out."
  use Primer.Consumer, queue: "texts"

  @impl true
  def handle_message(%{id: id, body: text}, state) do
    count = text |> String.split() |> length() |> Integer.to_string()
    # First the result, then the ack: a crash in between gives a duplicate, never a loss.
    {:ok, _receipt} = :primer.enqueue("counts", count, headers: %{"text" => id})
    {:ack, state}
  end
end
