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

  test "what is broadcast is heard by all who listen, at any member" do
    {:ok, other} = :primer.open(cluster: "words", seeds: [:primer.address()])
    {:ok, here} = :primer.on("progress")
    {:ok, there} = :primer.on(other, "progress")
    :ok = :primer.broadcast("progress", "half done")
    assert_receive {:primer, ^here, %{body: "half done"}}, 20_000
    assert_receive {:primer, ^there, %{topic: "progress", body: "half done"}}, 20_000
    :ok = :primer.close(other)
  end

  test "keys are the whole cluster's" do
    {:ok, watch} = :primer.watch("words/")
    assert :undefined = :primer.get("words/language")
    :ok = :primer.put("words/language", "English")
    assert_receive {:primer, ^watch, %{key: "words/language", value: "English"}}, 20_000
    assert {:ok, "English"} = :primer.get("words/language")
    assert {:ok, [%{key: "words/language", others: []}]} = :primer.list("words/")
    :ok = :primer.close(watch)
  end

  test "errors are tuples that say what to do" do
    {:ok, _} = :primer.enqueue("errors", "x")
    {:ok, [message]} = :primer.receive("errors")
    assert :ok = :primer.ack(message)
    assert {:error, {:too_late, :already_done, %{number: 402}}} = :primer.ack(message)
  end

  test "what can never succeed goes on as a dead letter, the first of the order first" do
    {:ok, _} = :primer.enqueue("letters", "usual")
    {:ok, _} = :primer.enqueue("letters", "first", priority: 9, ttl: 3_600_000)
    {:ok, [message]} = :primer.receive("letters")
    assert %{body: "first", priority: 9} = message
    assert :ok = :primer.reject(message, "no such customer")
    {:ok, [letter]} = :primer.receive("letters.dead", wait: 20_000)
    assert {"primer-reason", "no such customer"} in letter.headers
    assert :ok = :primer.ack(letter)
  end

  defmodule Doubtful do
    use Primer.Consumer, queue: "doubtful", lease: 200

    @impl true
    def handle_message(%{body: "no"}, parent), do: {{:reject, "as told"}, parent}
    def handle_message(%{body: "fails", attempts: 1}, _parent), do: raise("not today")

    def handle_message(%{body: body, attempts: attempts}, parent) do
      send(parent, {:handled, body, attempts, self()})
      receive do: (:go_on -> {:ack, parent})
    end
  end

  @tag :capture_log
  test "a consumer rejects, is retried, keeps what it works on, and is stopped when it is done" do
    trace = [{"traceparent", "00-ab-cd-01"}, {"tracestate", "a=b"}]
    {:ok, _} = :primer.enqueue_many("doubtful", ["no", "fails"], headers: trace)
    start_supervised!({Doubtful, args: self(), drain: 20_000})
    {:ok, [letter]} = :primer.receive("doubtful.dead", wait: 20_000)
    assert {"primer-reason", "as told"} in letter.headers
    # The context of a trace goes on, also in a dead letter.
    assert trace == Enum.filter(letter.headers, &(&1 in trace))
    assert :ok = :primer.ack(letter)
    assert_receive {:handled, "fails", 2, worker}, 20_000

    # Until a lease of a second ran out: an event of the engine's, after many of the shorter ones.
    {:ok, _} = :primer.enqueue("clock", "tick")
    {:ok, [first]} = :primer.receive("clock", lease: 1_000)
    {:ok, [%{attempts: 2} = tick]} = :primer.receive("clock", wait: 20_000)
    assert first.attempts == 1
    assert :ok = :primer.ack(tick)

    send(worker, :go_on)
    stop_supervised!(Doubtful)
    assert {:ok, []} = :primer.receive("doubtful")
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
