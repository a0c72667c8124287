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
        <<"no verdict">> when Attempts =:= 1 -> ok;
        <<"no words">> when Attempts =:= 1 -> {{reject, {no, words}}, {Parent, Count + 1}};
        <<"too large">> when Attempts =:= 1 -> {{reply, binary:copy(<<0>>, 2_000_000)}, {Parent, Count + 1}};
        <<"too large">> -> {{reply, <<"small">>}, {Parent, Count + 1}};
        <<"reject">> -> {{reject, <<"as told">>}, {Parent, Count + 1}};
        <<"sum">> -> {{reply, [integer_to_binary(Count), <<" so far">>]}, {Parent, Count + 1}};
        <<"later">> ->
            Parent ! {settle, Delivery},
            {noreply, {Parent, Count + 1}};
        <<"wait">> ->
            receive go_on -> ok end,
            {ack, {Parent, Count + 1}};
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
        {timeout, 60, {spawn, fun a_verdict_is_the_reply_of_whoever_called/0}},
        {timeout, 60, {spawn, fun a_handler_that_raises_nacks_and_goes_on/0}},
        {timeout, 60, {spawn, fun what_is_no_verdict_is_a_failure/0}},
        {timeout, 60, {spawn, fun a_reply_that_is_refused_is_a_failure/0}},
        {timeout, 60, {spawn, fun a_stopped_worker_gives_back_what_it_had/0}},
        {timeout, 60, {spawn, fun a_handler_that_takes_longer_than_its_lease_keeps_its_message/0}},
        {timeout, 60, {spawn, fun a_stopped_worker_finishes_what_it_has_and_gives_back_the_rest/0}}
    ].

start(Options) ->
    {_, Queue, Supervisor} = started(Options),
    {Queue, Supervisor}.

started(Options) ->
    {ok, Member} = primer:open(),
    {ok, Queue} = primer:queue(Member, <<"jobs">>),
    All = maps:merge(#{queue => Queue, args => self()}, Options),
    #{start := {Module, Function, Arguments}, type := supervisor} = primer_consumer:child_spec(?MODULE, All),
    {ok, Supervisor} = apply(Module, Function, Arguments),
    {Member, Queue, Supervisor}.

workers_share_a_queue() ->
    {Queue, Supervisor} = start(#{workers => 4}),
    ?assertEqual(4, proplists:get_value(active, supervisor:count_children(Supervisor))),
    Bodies = [integer_to_binary(N) || N <- lists:seq(1, 200)],
    {ok, _} = primer:enqueue_many(Queue, Bodies),
    Handled = [receive {handled, Body, 1, _, _} -> Body after ?LIMIT -> error(late) end || _ <- Bodies],
    ?assertEqual(lists:sort(Bodies), lists:sort(Handled)).

a_verdict_is_the_reply_of_whoever_called() ->
    {Member, Queue, _} = started(#{}),
    {ok, _} = primer:enqueue(Queue, <<"sum">>),
    ?assertEqual({ok, #{body => <<"1 so far">>, headers => []}}, primer:call(Queue, <<"sum">>, #{timeout => ?LIMIT})),
    {error, {in_doubt, _, #{number := 302}}} = primer:call(Queue, <<"ack">>, #{timeout => 50}),
    {error, {wrong_call, _, #{number := 101}}} = primer:call(Queue, <<"ack">>, #{timeout => never}),
    {ok, #{calls := 0, replies := 1}} = primer:stats(Member).

verdicts_settle() ->
    {Member, Queue, _} = started(#{}),
    {ok, Dead} = primer:queue(Member, <<"jobs.dead">>),
    {ok, _} = primer:enqueue(Queue, <<"nack">>),
    receive {handled, <<"nack">>, 1, _, 0} -> ok end,
    receive {handled, <<"nack">>, 2, _, 1} -> ok end,
    Trace = [{<<"traceparent">>, <<"00-ab-cd-01">>}, {<<"tracestate">>, <<"a=b">>}],
    {ok, _} = primer:enqueue(Queue, <<"reject">>, #{headers => Trace}),
    receive {handled, <<"reject">>, 1, _, 2} -> ok end,
    {ok, [#{body := <<"reject">>, headers := Headers}]} = primer:'receive'(Dead, #{wait => ?LIMIT}),
    {_, <<"as told">>} = lists:keyfind(<<"primer-reason">>, 1, Headers),
    %% The context of a trace goes on, also in a dead letter.
    ?assertEqual(Trace, [Header || {Name, _} = Header <- Headers, lists:keymember(Name, 1, Trace)]),
    {ok, _} = primer:enqueue(Queue, <<"later">>),
    Delivery = receive {settle, Given} -> Given end,
    ok = primer:ack(Delivery),
    ?assertMatch({error, {too_late, already_done, _}}, primer:ack(Delivery)).

a_handler_that_raises_nacks_and_goes_on() ->
    Level = quiet(),
    {Queue, _} = start(#{}),
    {ok, _} = primer:enqueue(Queue, <<"raise">>),
    {ok, _} = primer:enqueue(Queue, <<"next">>),
    Worker = receive {handled, <<"raise">>, 1, First, 0} -> First end,
    %% The same process, with the state it had before.
    receive {handled, <<"next">>, 1, Worker, 0} -> ok end,
    %% And the back-off is over at some time.
    receive {handled, <<"raise">>, 2, Worker, 1} -> ok end,
    logger:set_primary_config(level, Level).

what_is_no_verdict_is_a_failure() ->
    Level = quiet(),
    {Queue, _} = start(#{}),
    {ok, _} = primer:enqueue(Queue, <<"no verdict">>),
    Worker = receive {handled, <<"no verdict">>, 1, First, 0} -> First end,
    receive {handled, <<"no verdict">>, 2, Worker, 0} -> ok end,
    {ok, _} = primer:enqueue(Queue, <<"no words">>),
    receive {handled, <<"no words">>, 1, Worker, 1} -> ok end,
    receive {handled, <<"no words">>, 2, Worker, _} -> ok end,
    logger:set_primary_config(level, Level).

a_reply_that_is_refused_is_a_failure() ->
    Level = quiet(),
    {Queue, _} = start(#{}),
    %% The same worker, though it has room for one message only.
    ?assertMatch({ok, #{body := <<"small">>}}, primer:call(Queue, <<"too large">>, #{timeout => ?LIMIT})),
    Worker = receive {handled, <<"too large">>, 1, First, 0} -> First end,
    receive {handled, <<"too large">>, 2, Worker, _} -> ok end,
    logger:set_primary_config(level, Level).

quiet() ->
    #{level := Level} = logger:get_primary_config(),
    ok = logger:set_primary_config(level, none),
    Level.

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

a_handler_that_takes_longer_than_its_lease_keeps_its_message() ->
    {Member, Queue, _} = started(#{workers => 2, lease => 200}),
    Trace = #{<<"traceparent">> => <<"00-ab-cd-01">>, <<"tracestate">> => <<"a=b">>},
    {ok, _} = primer:enqueue(Queue, <<"wait">>, #{headers => Trace}),
    Worker = receive {handled, <<"wait">>, 1, First, 0} -> First end,
    pass_leases(Member),
    Worker ! go_on,
    %% Nobody else was given it, so the next message finds a worker, and this one is finished.
    {ok, _} = primer:enqueue(Queue, <<"next">>),
    receive {handled, Body, 1, _, _} -> ?assertEqual(<<"next">>, Body) end,
    receive {handled, _, _, _, _} = Again -> error(Again) after 0 -> ok end,
    {ok, #{redeliveries_lease := 1}} = primer:stats(Member).

a_stopped_worker_finishes_what_it_has_and_gives_back_the_rest() ->
    {Member, Queue, Supervisor} = started(#{credit => 2, lease => 200, drain => ?LIMIT}),
    {ok, _} = primer:enqueue_many(Queue, [<<"wait">>, <<"rest">>]),
    Worker = receive {handled, <<"wait">>, 1, First, 0} -> First end,
    unlink(Supervisor),
    Monitor = monitor(process, Supervisor),
    exit(Supervisor, shutdown),
    pass_leases(Member),
    Worker ! go_on,
    receive {'DOWN', Monitor, process, Supervisor, _} -> ok end,
    {ok, [#{body := <<"rest">>, attempts := 1} = Rest]} = primer:'receive'(Queue, #{wait => ?LIMIT}),
    ok = primer:ack(Rest),
    {ok, #{messages := 0}} = primer:stats(Member).

%% Until a lease of a second ran out: an event of the engine's, after many of the shorter ones.
pass_leases(Member) ->
    {ok, Clock} = primer:queue(Member, <<"clock">>),
    {ok, _} = primer:enqueue(Clock, <<"tick">>),
    %% Held on to: what becomes garbage goes back at once.
    {ok, [First]} = primer:'receive'(Clock, #{lease => 1_000}),
    {ok, [#{attempts := 2} = Tick]} = primer:'receive'(Clock, #{wait => ?LIMIT}),
    #{attempts := 1} = First,
    ok = primer:ack(Tick).
