%% @doc The VM survives any input: random terms, also handles of the wrong kind, closed ones and half a
%% delivery, go to every function of the API and of the NIF. Each call answers or raises; the calling
%% process is killed when it waits, which is one more thing to survive.
-module(primer_storm_tests).

-include_lib("eunit/include/eunit.hrl").

%% Calls that would only stop the storm: they load the library or answer nothing.
-define(LEFT_OUT, [{module_info, 0}, {module_info, 1}]).
-define(CALLS, 100_000).
%% How long a call may wait before its process is killed; nothing is asserted about it.
-define(PATIENCE, 5).

storm_test_() ->
    {timeout, 300, {spawn, fun storm/0}}.

storm() ->
    Seed = case os:getenv("PRIMER_SEED") of
        false -> erlang:unique_integer([positive]) + erlang:system_time();
        Text -> list_to_integer(Text)
    end,
    ?debugFmt("storm seed: PRIMER_SEED=~b", [Seed]),
    rand:seed(exsss, Seed),
    {ok, _} = application:ensure_all_started(primer),
    Terms = handles() ++ plain(),
    Functions = [
        {Module, Name, Arity}
     || Module <- [primer, primer_nif],
        {Name, Arity} <- Module:module_info(exports),
        not lists:member({Name, Arity}, ?LEFT_OUT)
    ],
    Outcomes = [call(pick(Functions), Terms) || _ <- lists:seq(1, ?CALLS)],
    %% The storm was one: calls answered, calls raised, calls answered errors.
    [?assert(lists:member(Outcome, Outcomes)) || Outcome <- [answered, raised, refused]],
    {ok, Member} = primer:open(),
    {ok, Queue} = primer:queue(Member, <<"after">>),
    {ok, #{id := Id}} = primer:enqueue(Queue, <<"alive">>),
    {ok, [#{id := Id} = Delivery]} = primer:'receive'(Queue),
    ok = primer:ack(Delivery),
    ok = application:stop(primer).

call({Module, Name, Arity}, Terms) ->
    Arguments = [random(Terms, 3) || _ <- lists:seq(1, Arity)],
    {Pid, Monitor} = spawn_monitor(fun() ->
        exit(
            try apply(Module, Name, Arguments) of
                {error, {Hundred, Kind, #{number := Number}}} when
                    is_atom(Hundred), is_atom(Kind), is_integer(Number)
                ->
                    refused;
                {error, Other} ->
                    {strange_error, Other};
                _ ->
                    answered
            catch
                error:nif_panicked -> nif_panicked;
                _:_ -> raised
            end
        )
    end),
    Outcome =
        receive
            {'DOWN', Monitor, process, Pid, Ended} -> Ended
        after ?PATIENCE ->
            exit(Pid, kill),
            receive
                {'DOWN', Monitor, process, Pid, Ended} -> Ended
            end
        end,
    fine(Outcome, {Module, Name, Arguments}).

%% A panic that was caught is still a bug of ours, and so is an error of another shape.
fine(Outcome, _Call) when
    Outcome =:= answered; Outcome =:= raised; Outcome =:= refused; Outcome =:= killed
->
    Outcome;
fine(Outcome, Call) ->
    error({Outcome, Call}).

%% One of each kind of handle, open and closed.
handles() ->
    {ok, Member} = primer:open(#{listen => "127.0.0.1:0"}),
    {ok, Queue} = primer:queue(Member, <<"storm">>),
    {ok, Pushed} = primer:subscribe(Queue, #{credit => 1, lease => 1}),
    {ok, Pulled} = primer:subscribe(Queue, #{mode => pull}),
    {ok, Events} = primer:events(Member),
    {ok, Topic} = primer:on(Member, "storm"),
    {ok, Watch} = primer:watch(Member, ""),
    ok = primer:put(Member, "storm", <<"value">>),
    {ok, [#{id := Id} | _]} = primer:members(Member),
    {ok, Receipts} = primer:enqueue_many(Queue, [<<"1">>, <<"2">>, <<"3">>, <<"4">>]),
    {ok, Other} = primer:queue(Member, <<"storm two">>),
    {ok, _} = primer:enqueue_many(Other, [<<"1">>, <<"2">>]),
    {ok, [Delivery, Done]} = primer:'receive'(Other, #{max => 2}),
    ok = primer:ack(Done),
    {later, Later} = primer_nif:receive_with(Other, #{wait => 100_000}),
    {ok, Closed} = primer:open(),
    {ok, ClosedQueue} = primer:queue(Closed, <<"closed">>),
    {ok, ClosedTopic} = primer:on(Closed, "storm"),
    ok = primer:close(Closed),
    [
        Member, Queue, Pushed, Pulled, Events, Other, Delivery, Done, maps:get(handle, Delivery), Later,
        Topic, Watch, ClosedTopic, Id, primer_nif:weak(Member), primer_nif:weak(Closed),
        Closed, ClosedQueue, maps:remove(handle, Delivery), Delivery#{handle := Queue} | Receipts
    ].

plain() ->
    [
        0, 1, -1, 5, 4_096, 4_097, 1 bsl 62, 1 bsl 200, -(1 bsl 70), 1.5, -0.0,
        atom, '', undefined, true, infinity, push, pull, fail, wait,
        <<>>, <<"storm">>, <<"127.0.0.1:1">>, <<255, 254>>, <<1:3>>, binary:copy(<<"b">>, 5_000),
        binary:copy(<<"q">>, 256), "string", "127.0.0.1:1", [], [[]], [a | b], lists:seq(1, 300),
        {}, {a, b}, {later, make_ref()}, self(), make_ref(), fun() -> ok end, fun erlang:self/0,
        #{}, #{max => 3}, #{wait => 3}, #{lease => 1}, #{copies => 1}, #{credit => 2}, #{mode => pull},
        #{headers => #{<<"k">> => <<"v">>}}, #{delay => 0}, #{drain => 1}, #{force => true},
        [{discover, nodes}], [{secret, <<"storm-2c5bd9a0f1e34b7796a8">>}], ["storm-2c5bd9a0f1e34b7796a8"],
        [{max, 2}], [{listen, none}], [{listen, "127.0.0.1:0"}], #{cluster => storm}, #{handle => a}
    ].

%% A term of the list, or something made of several.
random(Terms, 0) ->
    pick(Terms);
random(Terms, Depth) ->
    case rand:uniform(12) of
        1 -> [random(Terms, Depth - 1) || _ <- lists:seq(1, rand:uniform(4))];
        2 -> {random(Terms, Depth - 1), random(Terms, Depth - 1)};
        3 -> #{random(Terms, Depth - 1) => random(Terms, Depth - 1)};
        4 -> [random(Terms, Depth - 1) | random(Terms, Depth - 1)];
        5 -> #{pick([max, wait, lease, copies, on_short, timeout, headers, credit, mode, delay, drain,
                force, handle, listen, seeds]) => random(Terms, Depth - 1)};
        _ -> pick(Terms)
    end.

pick(List) ->
    lists:nth(rand:uniform(length(List)), List).
