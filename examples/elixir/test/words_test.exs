defmodule WordsTest do
  use ExUnit.Case

  test "texts are counted, each under its id" do
    ids = Words.put(["one", "one two", "", "a b  c\nd"])
    assert Words.get(ids) == [1, 2, 0, 4]
  end

  test "a second member of the cluster works on the same queues" do
    {:ok, other} = :primer.open(cluster: "words", seeds: [:primer.address()])
    {:ok, texts} = :primer.queue(other, "texts")
    {:ok, %{id: id}} = :primer.enqueue(texts, "from another member")
    assert Words.get([id]) == [3]
    :ok = :primer.close(other)
  end

  test "errors are tuples that say what to do" do
    {:ok, _} = :primer.enqueue("errors", "x")
    {:ok, [message]} = :primer.receive("errors")
    assert :ok = :primer.ack(message)
    assert {:error, {:too_late, :already_done, %{number: 402}}} = :primer.ack(message)
  end

  test "a consumer that dies gives its message back at once" do
    {:ok, %{id: id}} = :primer.enqueue("fragile", "x")
    parent = self()

    pid =
      spawn(fn ->
        {:ok, [message]} = :primer.receive("fragile", lease: 3_600_000)
        send(parent, :received)
        receive do: (:never -> :primer.ack(message))
      end)

    assert_receive :received, 20_000
    Process.exit(pid, :kill)
    assert {:ok, [%{id: ^id, attempts: 1}]} = :primer.receive("fragile", wait: 20_000)
  end
end
