defmodule Primer.Consumer do
  @moduledoc """
  A module that works on a queue, as a child of a supervisor:

      defmodule MyApp.Mailer do
        use Primer.Consumer, queue: "emails", concurrency: 8

        @impl true
        def handle_message(%{body: body}, state) do
          send_mail(body)
          {:ack, state}
        end
      end

      children = [MyApp.Mailer]

  `handle_message/2` answers `{:ack, state}`, `{{:reply, body}, state}` for whoever called, `{:nack, state}`, `{{:nack, %{delay: ms}}, state}`,
  `{{:reject, reason}, state}`, `{:release, state}`, or `{:noreply, state}` where it settles the message
  itself. What raises, or answers anything else, comes again after the back-off. A message is its worker's however long it takes,
  up to `max_run` (an hour); a worker that is stopped finishes the message that it has, for up to
  `drain` (5 s).

  The options are those of `:primer_consumer`, with `concurrency` for `workers`; those given in the
  list of children, `{MyApp.Mailer, concurrency: 2}`, go before. `args` go to `init/1`, whose answer is
  `{:ok, state}`. This file is compiled by the project that uses it, which names its folder, absolute, in
  `elixirc_paths`.
  """

  @doc false
  defmacro __using__(options) do
    quote do
      @behaviour :primer_consumer
      @primer_consumer unquote(options)

      def child_spec(options) do
        options = Primer.Consumer.options(@primer_consumer, options)
        :primer_consumer.child_spec(__MODULE__, options)
      end

      @impl :primer_consumer
      def init(args), do: {:ok, args}

      defoverridable child_spec: 1, init: 1
    end
  end

  @doc "The options of `:primer_consumer` from two lists, of which the second goes before."
  def options(usual, given) do
    {concurrency, rest} = usual |> Keyword.merge(given) |> Keyword.pop(:concurrency, 1)
    Map.put_new(Map.new(rest), :workers, concurrency)
  end
end
