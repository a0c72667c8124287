%% @doc The behaviour for workers.
-module(primer_consumer_tests).
-behaviour(primer_consumer).

-include_lib("eunit/include/eunit.hrl").

-export([init/1, handle_message/2, terminate/2]).

-define(LIMIT, 20_000).

%%% The handler under test: the body says what it does, the parent hears of it %%%

init(Parent) -> {ok, {Parent, 0}}.

handle_message(#{body := Body, attempts := Attempts} = Delivery, {Parent, Count}) ->
    Parent ! {handled, Body, Attempts, self(), Count},
    case Body of
        <<"raise">> when Attempts =:= 1 -> error(as_told);
        <<"nack">> when Attempts =:= 1 -> {{nack, #{delay => 0}}, {Parent, Count + 1}};
        <<"later">> ->
            Parent ! {settle, Delivery},
            {noreply, {Parent, Count + 1}};
        <<"hold">> ->
            {noreply, {Parent, Delivery}};
        _ -> {ack, {Parent, Count + 1}}
    end.

terminate(Reason, {Parent, Count}) ->
    Parent ! {terminated, self(), Reason, is_map(Count) andalso maps:remove(handle, Count)}.

%%% Tests %%%

consumer_test_() ->
    [
        {timeout, 60, {spawn, fun workers_share_a_queue/0}},
        {timeout, 60, {spawn, fun verdicts_settle/0}},
        {timeout, 60, {spawn, fun a_handler_that_raises_nacks_and_goes_on/0}},
        {timeout, 60, {spawn, fun a_stopped_worker_gives_back_what_it_had/0}}
    ].

start(Options) ->
    {ok, Member} = primer:open(),
    {ok, Queue} = primer:queue(Member, <<"jobs">>),
    All = maps:merge(#{queue => Queue, args => self()}, Options),
    #{start := {Module, Function, Arguments}, type := supervisor} = primer_consumer:child_spec(?MODULE, All),
    {ok, Supervisor} = apply(Module, Function, Arguments),
    {Queue, Supervisor}.

workers_share_a_queue() ->
    {Queue, Supervisor} = start(#{workers => 4}),
    ?assertEqual(4, proplists:get_value(active, supervisor:count_children(Supervisor))),
    Bodies = [integer_to_binary(N) || N <- lists:seq(1, 200)],
    {ok, _} = primer:enqueue_many(Queue, Bodies),
    Handled = [receive {handled, Body, 1, _, _} -> Body after ?LIMIT -> error(late) end || _ <- Bodies],
    ?assertEqual(lists:sort(Bodies), lists:sort(Handled)).

verdicts_settle() ->
    {Queue, _} = start(#{}),
    {ok, _} = primer:enqueue(Queue, <<"nack">>),
    receive {handled, <<"nack">>, 1, _, 0} -> ok end,
    receive {handled, <<"nack">>, 2, _, 1} -> ok end,
    {ok, _} = primer:enqueue(Queue, <<"later">>),
    Delivery = receive {settle, Given} -> Given end,
    ok = primer:ack(Delivery),
    ?assertMatch({error, {too_late, already_done, _}}, primer:ack(Delivery)).

a_handler_that_raises_nacks_and_goes_on() ->
    #{level := Level} = logger:get_primary_config(),
    ok = logger:set_primary_config(level, none),
    {Queue, _} = start(#{}),
    {ok, _} = primer:enqueue(Queue, <<"raise">>),
    {ok, _} = primer:enqueue(Queue, <<"next">>),
    Worker = receive {handled, <<"raise">>, 1, First, 0} -> First end,
    %% The same process, with the state it had before.
    receive {handled, <<"next">>, 1, Worker, 0} -> ok end,
    %% And the back-off is over at some time.
    receive {handled, <<"raise">>, 2, Worker, 1} -> ok end,
    logger:set_primary_config(level, Level).

a_stopped_worker_gives_back_what_it_had() ->
    {Queue, Supervisor} = start(#{credit => 10, lease => 3_600_000}),
    {ok, _} = primer:enqueue(Queue, <<"hold">>),
    receive {handled, <<"hold">>, 1, _, 0} -> ok end,
    unlink(Supervisor),
    Monitor = monitor(process, Supervisor),
    exit(Supervisor, shutdown),
    receive {'DOWN', Monitor, process, Supervisor, _} -> ok end,
    receive {terminated, _, shutdown, Held} -> #{body := <<"hold">>} = Held end,
    {ok, [#{body := <<"hold">>, attempts := 1}]} = primer:'receive'(Queue, #{wait => ?LIMIT}).
