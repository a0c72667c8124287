%% @doc Runs every scenario of tests/conformance: once with pushed subscriptions, and those that
%% subscribe once more with pulled ones. Each scenario has a process, and with it a mailbox, of its own.
-module(primer_conformance_tests).

-include_lib("eunit/include/eunit.hrl").

%% How long a step waits for what must come. Generous: only a failing test waits that long.
-define(LIMIT, 20_000).

scenarios_test_() ->
    Files = primer_scenario:files(),
    ?assert(length(Files) >= 20),
    {inparallel, 4, lists:append([tests(File) || File <- Files])}.

tests(File) ->
    {ok, Text} = file:read_file(File),
    Name = filename:basename(File),
    Steps = primer_scenario:parse(Name, Text),
    Subscribes = lists:any(fun(#{verb := Verb}) -> Verb =:= <<"subscribe">> end, Steps),
    Modes = [push] ++ [pull || Subscribes],
    [
        {Name ++ " (" ++ atom_to_list(Mode) ++ ")",
            {timeout, 300, {spawn, fun() -> run(Name, Steps, Mode) end}}}
     || Mode <- Modes
    ].

%% Members, events, ids, subscriptions by their names are in the map; deliveries are in a table, so
%% that `drop' can let go of the only reference to one.
run(Name, Steps, Mode) ->
    Table = ets:new(deliveries, [set]),
    State = #{name => Name, mode => Mode, table => Table, members => #{}, events => #{}, ids => #{},
        subscriptions => #{}},
    End = lists:foldl(fun run_step/2, State, Steps),
    [ok = primer:close(Member) || Member <- maps:values(maps:get(members, End))],
    ets:delete(Table).

run_step(#{line := Line, expect := Expect} = Step, #{name := Name} = State) ->
    try do(Step, State) of
        {Answer, After} ->
            expect(Answer, Expect, After)
    catch
        Class:What:Stack ->
            erlang:raise(Class, {list_to_atom(Name), line, Line, What}, Stack)
    end.

%%% Steps: each answers what happened and the state after it %%%

do(#{verb := <<"open">>, args := [A], options := Options}, State) ->
    Pairs = [open_option(Option, State) || Option <- Options],
    case primer:open(Pairs) of
        {ok, Member} ->
            {ok, Events} = primer:events(Member),
            {ok, bind(events, A, Events, bind(members, A, Member, State))};
        Error ->
            {Error, State}
    end;
do(#{verb := <<"join">>, args := [A, {_, Address, true}]}, State) ->
    {primer:join(member(A, State), Address), State};
do(#{verb := <<"join">>, args := [A, B]}, State) ->
    {primer:join(member(A, State), primer:address(member(B, State))), State};
do(#{verb := <<"members">>, args := [A], expect := [[{_, Count, _}]]}, State) ->
    Member = member(A, State),
    Wanted = binary_to_integer(Count),
    until(fun() ->
        {ok, Members} = primer:members(Member),
        {length([M || #{is_reachable := true} = M <- Members]), Wanted}
    end),
    {met, State};
do(#{verb := <<"address">>, args := [A]}, State) ->
    case primer:address(member(A, State)) of
        undefined -> {{word, <<"none">>}, State};
        Address when is_binary(Address) -> {{word, <<"some">>}, State}
    end;
do(#{verb := <<"event">>, args := [A, {_, Kind, _}]}, #{events := All} = State) ->
    event(maps:get(element(2, A), All), Kind),
    {met, State};
do(#{verb := <<"stats">>, args := [A, {_, Name, _}], expect := [[{_, Value, _}]]}, State) ->
    Member = member(A, State),
    Wanted = binary_to_integer(Value),
    until(fun() ->
        {ok, Stats} = primer:stats(Member),
        {maps:get(binary_to_existing_atom(Name), Stats), Wanted}
    end),
    {met, State};
do(#{verb := <<"enqueue">>, args := [A, {_, Name, _}, {_, Body, _}], options := Options}, State) ->
    with_queue(A, Name, State, fun(Queue) ->
        case Options of
            [] -> primer:enqueue(Queue, Body);
            _ -> primer:enqueue(Queue, Body, enqueue_options(Options))
        end
    end);
do(#{verb := <<"enqueue_many">>, args := [A, {_, Name, _} | Bodies], options := Options}, State) ->
    with_queue(A, Name, State, fun(Queue) ->
        primer:enqueue_many(Queue, [Body || {_, Body, _} <- Bodies], enqueue_options(Options))
    end);
do(#{verb := <<"receive">>, args := [A, {_, Name, _}], options := Options}, State) ->
    {Answer, After} = with_queue(A, Name, State, fun(Queue) ->
        case Options of
            [] -> primer:'receive'(Queue);
            _ -> primer:'receive'(Queue, numbers(Options))
        end
    end),
    {keep(A, Answer, State), After};
do(#{verb := <<"ack_many">>, args := [A | Messages]}, State) ->
    case primer:ack_many([delivery(A, M, State) || M <- Messages]) of
        {ok, Codes} -> {{codes, Codes}, State};
        Error -> {Error, State}
    end;
do(#{verb := <<"drop">>, args := [A, M]}, #{table := Table} = State) ->
    true = ets:delete(Table, key(A, M, State)),
    true = erlang:garbage_collect(),
    {ok, State};
do(#{verb := <<"subscribe">>, args := [A, {_, Name, _}], options := Options}, State) ->
    #{mode := Mode} = State,
    with_queue(A, Name, State, fun(Queue) ->
        case primer:subscribe(Queue, (numbers(Options))#{mode => Mode}) of
            {ok, Subscription} -> {subscribed, A, Subscription};
            Error -> Error
        end
    end);
do(#{verb := <<"next">>, args := [S], options := Options}, State) ->
    {A, Subscription} = subscription(S, State),
    case primer:next(Subscription, maps:get(wait, numbers(Options), 0)) of
        {ok, Delivery} -> {keep(A, {ok, [Delivery]}, State), State};
        empty -> {{ok, []}, State};
        Error -> {Error, State}
    end;
do(#{verb := <<"credit">>, args := [S, {_, More, _}]}, State) ->
    {_, Subscription} = subscription(S, State),
    {primer:credit(Subscription, binary_to_integer(More)), State};
do(#{verb := <<"unsubscribe">>, args := [S]}, State) ->
    {_, Subscription} = subscription(S, State),
    {primer:close(Subscription), State};
do(#{verb := <<"leave">>, args := [A], options := Options}, State) ->
    Read = fun({Key, Value, _}) -> {binary_to_existing_atom(Key), leave_value(Value)} end,
    {primer:leave(member(A, State), maps:from_list(lists:map(Read, Options))), State};
do(#{verb := <<"close">>, args := [A]}, State) ->
    {primer:close(member(A, State)), State};
do(#{verb := Verb, args := [A, M], options := Options}, State) ->
    {settle(Verb, delivery(A, M, State), numbers(Options)), State}.

settle(<<"ack">>, Delivery, _) -> primer:ack(Delivery);
settle(<<"nack">>, Delivery, Options) -> primer:nack(Delivery, Options);
settle(<<"release">>, Delivery, _) -> primer:release(Delivery);
settle(<<"extend">>, Delivery, Options) -> primer:extend(Delivery, Options).

%%% What the steps stand on %%%

member({_, Name, _}, #{members := Members}) -> maps:get(Name, Members).

subscription({_, Name, _}, #{subscriptions := Subscriptions}) -> maps:get(Name, Subscriptions).

bind(Kind, {_, Name, _}, Value, State) ->
    State#{Kind := (maps:get(Kind, State))#{Name => Value}}.

with_queue(A, Name, State, Verb) ->
    case primer:queue(member(A, State), Name) of
        {ok, Queue} -> {Verb(Queue), State};
        Error -> {Error, State}
    end.

key({_, Member, _}, {_, Message, _}, #{ids := Ids}) -> {Member, maps:get(Message, Ids)}.

delivery(A, M, #{table := Table} = State) ->
    [{_, Delivery}] = ets:lookup(Table, key(A, M, State)),
    Delivery.

%% Keeps the leases in the table and answers the rest.
keep({_, Member, _}, {ok, Deliveries}, #{table := Table}) ->
    [ets:insert(Table, {{Member, Id}, Delivery}) || #{id := Id} = Delivery <- Deliveries],
    {ok, [maps:remove(handle, Delivery) || Delivery <- Deliveries]};
keep(_, Answer, _) ->
    Answer.

open_option({<<"join">>, Names, _}, #{members := Members}) ->
    Seeds = [primer:address(maps:get(Name, Members)) || Name <- binary:split(Names, <<",">>, [global])],
    {seeds, Seeds};
open_option({Key, Value, _}, _) ->
    {Key, Value}.

numbers(Options) ->
    maps:from_list([{binary_to_existing_atom(Key), binary_to_integer(Value)} || {Key, Value, _} <- Options]).

enqueue_options(Options) ->
    Headers = [{Key, Value} || {<<"header.", Key/binary>>, Value, _} <- Options],
    Short = [{on_short, binary_to_existing_atom(Value)} || {<<"on_short">>, Value, _} <- Options],
    Rest = [Option || {Key, _, _} = Option <- Options, Key =:= <<"copies">> orelse Key =:= <<"timeout">>],
    maps:merge(numbers(Rest), maps:from_list(Short ++ [{headers, Headers} || Headers =/= []])).

leave_value(<<"true">>) -> true;
leave_value(<<"false">>) -> false;
leave_value(Number) -> binary_to_integer(Number).

event(Events, Kind) ->
    {ok, #{kind := Got}} = primer:next(Events, ?LIMIT),
    case atom_to_binary(Got) of
        Kind -> ok;
        _ -> event(Events, Kind)
    end.

%% Asks every 10 ms until both are equal.
until(Ask) -> until(Ask, erlang:monotonic_time(millisecond) + ?LIMIT).

until(Ask, Deadline) ->
    case Ask() of
        {Same, Same} ->
            ok;
        {Got, Wanted} ->
            erlang:monotonic_time(millisecond) < Deadline orelse error({got, Got, wanted, Wanted}),
            timer:sleep(10),
            until(Ask, Deadline)
    end.

%%% Expectations %%%

expect(met, _, State) ->
    State;
expect({word, Word}, [[{_, Wanted, _}]], State) ->
    ?assertEqual(Wanted, Word),
    State;
expect({error, {_, _, #{number := Number}}}, [[{_, <<"error">>, false}, {_, Wanted, _}]], State) ->
    ?assertEqual(binary_to_integer(Wanted), Number),
    State;
expect({error, Error}, _, _State) ->
    error({unexpected, Error});
expect(Answer, [[{_, <<"error">>, false}, {_, Wanted, _}]], _State) ->
    error({expected_error, Wanted, got, Answer});
expect({codes, Codes}, [Wanted], State) ->
    ?assertEqual([binary_to_integer(Code) || {_, Code, _} <- Wanted], Codes),
    State;
expect({subscribed, A, Subscription}, [[S]], State) ->
    bind(subscriptions, S, {A, Subscription}, State);
expect({ok, []}, [[{_, <<"empty">>, false}]], State) ->
    State;
expect(ok, [[{_, <<"ok">>, false}]], State) ->
    State;
expect({ok, #{id := _} = Receipt}, [Words], State) ->
    same(Receipt, Words, State);
expect({ok, [#{copies := _} | _] = Receipts}, [Names], State) ->
    ?assertEqual(length(Names), length(Receipts)),
    lists:foldl(fun({R, Name}, Acc) -> same(R, [Name], Acc) end, State, lists:zip(Receipts, Names));
expect({ok, Deliveries}, [_ | _] = Groups, State) ->
    length(Deliveries) =:= length(Groups) orelse error({deliveries, Deliveries}),
    lists:foldl(fun({D, Words}, Acc) -> same(D, Words, Acc) end, State, lists:zip(Deliveries, Groups));
expect(_Success, [], State) ->
    State.

%% A receipt or a delivery against its words: the name first, then what is to be checked.
same(#{id := Id} = Got, [{_, Name, false} | Words], #{ids := Ids} = State) ->
    ?assertEqual({Name, maps:get(Name, Ids, Id)}, {Name, Id}),
    [checked(Word, Got) || Word <- Words],
    State#{ids := Ids#{Name => Id}}.

checked({none, Body, true}, Got) ->
    ?assertEqual(Body, maps:get(body, Got));
checked({<<"header.", Key/binary>>, Value, _}, Got) ->
    ?assertEqual({Key, Value}, lists:keyfind(Key, 1, maps:get(headers, Got)));
checked({Key, Value, _}, Got) ->
    ?assertEqual({Key, binary_to_integer(Value)}, {Key, maps:get(binary_to_existing_atom(Key), Got)}).
