defmodule Words do
  @moduledoc """
  Counts words in texts, by way of two queues: whoever is in the cluster may do the counting.
  """

  @doc "Puts texts up to be counted; answers their message ids in order."
  def put(texts) do
    {:ok, receipts} = :primer.enqueue_many("texts", texts)
    Enum.map(receipts, & &1.id)
  end

  @doc "The counts of these ids, waiting for all of them."
  def get(ids) do
    {:ok, counts} = :primer.subscribe("counts", credit: 64)
    found = gather(counts, MapSet.new(ids), %{})
    :ok = :primer.close(counts)
    Enum.map(ids, &Map.fetch!(found, &1))
  end

  defp gather(counts, missing, found) do
    if MapSet.size(missing) == 0 do
      found
    else
      receive do
        {:primer, ^counts, %{body: count, headers: [{"text", id}]} = message} ->
          :ok = :primer.ack(message)
          gather(counts, MapSet.delete(missing, id), Map.put(found, id, String.to_integer(count)))
      end
    end
  end
end
