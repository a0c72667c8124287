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
        subscriptions => #{}, readers => #{}, calls => #{}, cursors => #{}},
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
    Pairs = apart([open_option(Option, State) || Option <- Options]),
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
do(#{verb := <<"call">>, args := [A, {_, Name, _}, {_, Body, _}], options := Options, expect := [[C]]}, State) ->
    {ok, Queue} = primer:queue(member(A, State), Name),
    Given = maps:merge(#{timeout => ?LIMIT}, enqueue_options(Options)),
    %% It goes on beside the other steps.
    {_, Call} = spawn_monitor(fun() -> exit({called, primer:call(Queue, Body, Given)}) end),
    {met, bind(calls, C, Call, State)};
do(#{verb := <<"reply">>, args := [A, M, {_, Body, _}], options := Options}, State) ->
    Headers = [{Key, Value} || {<<"header.", Key/binary>>, Value, _} <- Options],
    {primer:reply(delivery(A, M, State), Body, #{headers => Headers}), State};
do(#{verb := <<"replied">>, args := [{_, C, _}]}, #{calls := Calls} = State) ->
    {Call, Others} = maps:take(C, Calls),
    receive
        {'DOWN', Call, process, _, {called, {ok, Reply}}} -> {{replied, Reply}, State#{calls := Others}};
        {'DOWN', Call, process, _, {called, Error}} -> {Error, State#{calls := Others}}
    after ?LIMIT + 10_000 -> error(the_call_does_not_end)
    end;
do(#{verb := <<"receive">>, args := [A, {_, Name, _}], options := Options}, State) ->
    {Answer, After} = with_queue(A, Name, State, fun(Queue) ->
        case Options of
            [] -> primer:'receive'(Queue);
            _ -> primer:'receive'(Queue, consumer_options(Options))
        end
    end),
    {keep(A, Answer, State), After};
do(#{verb := <<"browse">>, args := [A, {_, Name, _}], options := Options}, State) ->
    {Answer, After} = with_queue(A, Name, State, fun(Queue) -> primer:browse(Queue, browse_options(Options, State)) end),
    case Answer of
        {ok, Page} -> {{page, Page, Options}, After};
        Error -> {Error, After}
    end;
do(#{verb := <<"doctor">>, args := [A, {_, Name, _}], options := Options, expect := Expect}, State) ->
    Missing = lists:sum([binary_to_integer(Count) || {<<"missing">>, Count, _} <- Options]),
    {Queue, After} = with_queue(A, Name, State, fun(Queue) -> {ok, Queue} end),
    Ask = fun() ->
        case Queue of
            {ok, Ref} -> found(primer:doctor(Ref), Missing, Expect);
            Error -> Error
        end
    end,
    {asked(Ask, {ok, as_written}), After};
do(#{verb := <<"redrive">>, args := [A, {_, Name, _}], options := Options}, State) ->
    {Answer, After} = with_queue(A, Name, State, fun(Queue) -> primer:redrive(Queue, redrive_options(Options, State)) end),
    case Answer of
        {ok, Redriven} -> {{redriven, Redriven, Options}, After};
        Error -> {Error, After}
    end;
do(#{verb := <<"explain">>, args := [A, {_, Name, IsText}], options := Options, expect := Expect}, State) ->
    #{ids := Ids} = State,
    Id = case IsText of
        true -> Name;
        false -> maps:get(Name, Ids)
    end,
    Missing = lists:sum([binary_to_integer(Count) || {<<"missing">>, Count, _} <- Options]),
    Ask = fun() ->
        case primer:explain(member(A, State), Id) of
            {ok, Told} -> {ok, explained(Told, Missing, Expect, State)};
            Error -> Error
        end
    end,
    {asked(Ask, {ok, as_written}), State};
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
        case primer:subscribe(Queue, (consumer_options(Options))#{mode => Mode}) of
            {ok, Subscription} -> {subscribed, A, Subscription};
            Error -> Error
        end
    end);
do(#{verb := <<"create_group">>, args := [A, {_, Name, _}, {_, Group, _}], options := Options}, State) ->
    with_queue(A, Name, State, fun(Queue) ->
        primer:create_group(Queue, Group, consumer_options(Options))
    end);
do(#{verb := <<"remove_group">>, args := [A, {_, Name, _}, {_, Group, _}]}, State) ->
    with_queue(A, Name, State, fun(Queue) -> primer:remove_group(Queue, Group) end);
do(#{verb := <<"groups">>, args := [A, {_, Name, _}], expect := Expect}, State) ->
    Wanted = case Expect of
        [[{_, <<"empty">>, false}]] -> [];
        _ -> [Group || [{_, Group, _} | _] <- Expect]
    end,
    with_queue(A, Name, State, fun(Queue) ->
        asked(fun() -> primer:groups(Queue) end, {ok, Wanted})
    end);
do(#{verb := <<"configure">>, args := [A, {_, Name, _}, {_, Settings, _}]}, State) ->
    with_queue(A, Name, State, fun(Queue) -> primer:configure(Queue, settings(Settings)) end);
do(#{verb := <<"configuration">>, args := [A, {_, Name, _}], expect := Expect}, State) ->
    with_queue(A, Name, State, fun(Queue) ->
        Ask = fun() ->
            case primer:configuration(Queue) of
                {ok, Map} -> {ok, lists:sort([shown(Key, Value) || {Key, Value} <- maps:to_list(Map)])};
                Error -> Error
            end
        end,
        asked(Ask, {ok, wanted(Expect)})
    end);
do(#{verb := <<"pause">>, args := [A, {_, Name, _}, {_, Direction, _}]}, State) ->
    with_queue(A, Name, State, fun(Queue) -> primer:pause(Queue, Direction) end);
do(#{verb := <<"resume">>, args := [A, {_, Name, _}]}, State) ->
    with_queue(A, Name, State, fun primer:resume/1);
do(#{verb := <<"purge">>, args := [A, {_, Name, _}]}, State) ->
    with_queue(A, Name, State, fun primer:purge/1);
do(#{verb := <<"set_policy">>, args := [A, {_, Prefix, _}, {_, Settings, _}]}, State) ->
    {primer:set_policy(member(A, State), Prefix, settings(Settings)), State};
do(#{verb := <<"remove_policy">>, args := [A, {_, Prefix, _}]}, State) ->
    {primer:remove_policy(member(A, State), Prefix), State};
do(#{verb := <<"policies">>, args := [A], expect := Expect}, State) ->
    Ask = fun() ->
        case primer:policies(member(A, State)) of
            {ok, Policies} -> {ok, lists:sort(maps:keys(Policies))};
            Error -> Error
        end
    end,
    {asked(Ask, {ok, wanted(Expect)}), State};
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
do(#{verb := <<"broadcast">>, args := [A, {_, Topic, _}, {_, Body, _}]}, State) ->
    {primer:broadcast(member(A, State), Topic, Body), State};
do(#{verb := <<"on">>, args := [A, {_, Topic, _}]}, State) ->
    {reader(primer:on(member(A, State), Topic)), State};
do(#{verb := <<"watch">>, args := [A, {_, Prefix, _}]}, State) ->
    {reader(primer:watch(member(A, State), Prefix)), State};
do(#{verb := <<"heard">>, args := [T | Body], options := Options}, #{readers := Readers} = State) ->
    case primer:next(maps:get(element(2, T), Readers), ?LIMIT) of
        {ok, #{body := Heard, from := From}} ->
            ?assertEqual([Heard], [Wanted || {_, Wanted, _} <- Body]),
            [?assertEqual(id(B, State), From) || {<<"from">>, B, _} <- Options],
            {met, State};
        {error, _} = Error ->
            {Error, State}
    end;
do(#{verb := <<"changed">>, args := [W | What]}, #{readers := Readers} = State) ->
    {changed(maps:get(element(2, W), Readers), What), State};
do(#{verb := <<"unlisten">>, args := [T]}, #{readers := Readers} = State) ->
    {primer:close(maps:get(element(2, T), Readers)), State};
do(#{verb := <<"put">>, args := [A, {_, Key, _}, {_, Value, _}]}, State) ->
    {primer:put(member(A, State), Key, Value), State};
do(#{verb := <<"get">>, args := [A, {_, Key, _}], expect := Expect}, State) ->
    Member = member(A, State),
    Wanted = case Expect of
        [[{_, <<"none">>, false}]] -> undefined;
        [[{_, Value, _} | _]] -> {ok, Value}
    end,
    {asked(fun() -> primer:get(Member, Key) end, Wanted), State};
do(#{verb := <<"list">>, args := [A, {_, Prefix, _}], expect := Expect}, State) ->
    Member = member(A, State),
    Wanted = [{Key, Value} || [{_, Key, _}, {_, Value, true}] <- Expect],
    Ask = fun() ->
        case primer:list(Member, Prefix) of
            {ok, Entries} -> {ok, [{Key, Value} || #{key := Key, value := Value} <- Entries]};
            Error -> Error
        end
    end,
    {asked(Ask, {ok, Wanted}), State};
do(#{verb := <<"delete">>, args := [A, {_, Key, _}]}, State) ->
    {primer:delete(member(A, State), Key), State};
do(#{verb := <<"evict">>, args := [A, {_, B, _}]}, State) ->
    {primer:evict(member(A, State), id(B, State)), State};
do(#{verb := <<"reclaim">>, args := [A], options := Options}, State) ->
    Keep = lists:keymember(<<"true">>, 2, Options),
    case primer:reclaim(member(A, State), Keep) of
        {ok, Count} -> {{word, integer_to_binary(Count)}, State};
        Error -> {Error, State}
    end;
do(#{verb := <<"rotate">>, args := [A, {_, Secrets, _}]}, State) ->
    {primer:rotate(member(A, State), binary:split(Secrets, <<",">>, [global])), State};
do(#{verb := <<"reject">>, args := [A, M], options := Options}, State) ->
    Reason = iolist_to_binary([Text || {<<"reason">>, Text, _} <- Options]),
    {primer:reject(delivery(A, M, State), Reason), State};
do(#{verb := Verb, args := [A, M], options := Options}, State) ->
    {settle(Verb, delivery(A, M, State), numbers(Options)), State}.

settle(<<"ack">>, Delivery, _) -> primer:ack(Delivery);
settle(<<"nack">>, Delivery, Options) -> primer:nack(Delivery, Options);
settle(<<"release">>, Delivery, _) -> primer:release(Delivery);
settle(<<"extend">>, Delivery, Options) -> primer:extend(Delivery, Options).

%%% What the steps stand on %%%

member({_, Name, _}, #{members := Members}) -> maps:get(Name, Members).

subscription({_, Name, _}, #{subscriptions := Subscriptions}) -> maps:get(Name, Subscriptions).

%% A member's id, as the member itself says it.
id(Name, #{members := All}) ->
    {ok, Members} = primer:members(maps:get(Name, All)),
    [Id] = [Id || #{is_self := true, id := Id} <- Members],
    Id.

reader({ok, Reader}) -> {reader, Reader};
reader(Error) -> Error.

%% Skips changes until that one.
changed(Watch, [{_, Key, _}, {_, Word, IsText}] = What) ->
    Wanted = case {Word, IsText} of
        {<<"none">>, false} -> undefined;
        _ -> Word
    end,
    case primer:next(Watch, ?LIMIT) of
        {ok, #{key := Key, value := Wanted}} -> met;
        {ok, _} -> changed(Watch, What);
        {error, _} = Error -> Error
    end;
%% Only an error is expected.
changed(Watch, []) ->
    {error, _} = primer:next(Watch, ?LIMIT).

%% Members of one cluster's name would meet by it, also those of other scenarios.
apart([]) ->
    [];
apart(Pairs) ->
    [{discover, none} || not lists:keymember(<<"discover">>, 1, Pairs)] ++ Pairs.

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

%% In a group, or not.
consumer_options(Options) ->
    {InGroup, Rest} = lists:partition(fun({Key, _, _}) -> lists:member(Key, [<<"group">>, <<"backlog">>]) end, Options),
    lists:foldl(
        fun
            ({<<"group">>, Group, _}, Map) -> Map#{group => Group};
            ({<<"backlog">>, Word, _}, Map) -> Map#{backlog => Word =:= <<"true">>}
        end,
        numbers(Rest),
        InGroup
    ).

enqueue_options(Options) ->
    Headers = [{Key, Value} || {<<"header.", Key/binary>>, Value, _} <- Options],
    Words = [
        {binary_to_existing_atom(Key), binary_to_existing_atom(Value)}
     || {Key, Value, _} <- Options, lists:member(Key, [<<"on_short">>, <<"at_most_once">>, <<"if_no_group">>])
    ],
    Keys = [{binary_to_existing_atom(Name), Key} || {Name, Key, _} <- Options, lists:member(Name, [<<"key">>, <<"dedup">>])],
    Date = [{at, erlang:system_time(millisecond) + binary_to_integer(Ms)} || {<<"at">>, Ms, _} <- Options],
    Rest = [Option || {Key, _, _} = Option <- Options, is_number_of_an_enqueue(Key)],
    maps:merge(numbers(Rest), maps:from_list(Words ++ Keys ++ Date ++ [{headers, Headers} || Headers =/= []])).

is_number_of_an_enqueue(Key) ->
    lists:member(Key, [<<"copies">>, <<"timeout">>, <<"priority">>, <<"delay">>, <<"ttl">>, <<"max_attempts">>, <<"dedup_window">>]).

leave_value(<<"true">>) -> true;
leave_value(<<"false">>) -> false;
leave_value(Number) -> binary_to_integer(Number).

event(Events, Kind) ->
    {ok, #{kind := Got}} = primer:next(Events, ?LIMIT),
    case atom_to_binary(Got) of
        Kind -> ok;
        _ -> event(Events, Kind)
    end.

redrive_options(Options, #{ids := Ids}) ->
    Headers = [{Key, Value} || {<<"header.", Key/binary>>, Value, _} <- Options],
    lists:foldl(fun
        ({<<"to">>, To, _}, Map) -> Map#{to => To};
        ({<<"ids">>, Text, true}, Map) -> Map#{ids => [Text]};
        ({<<"ids">>, Names, false}, Map) ->
            Map#{ids => [maps:get(Name, Ids) || Name <- binary:split(Names, <<",">>, [global])]};
        ({<<"dry_run">>, Is, _}, Map) -> Map#{dry_run => Is =:= <<"true">>};
        ({<<"max">>, Max, _}, Map) -> Map#{max => binary_to_integer(Max)};
        ({<<"timeout">>, Timeout, _}, Map) -> Map#{timeout => binary_to_integer(Timeout)};
        (_, Map) -> Map
    end, #{timeout => ?LIMIT, headers => Headers}, Options).

browse_options(Options, #{cursors := Cursors}) ->
    Headers = [{Key, Value} || {<<"header.", Key/binary>>, Value, _} <- Options],
    Given = lists:foldl(fun
        ({<<"after">>, Name, false}, Map) -> Map#{'after' => maps:get(Name, Cursors)};
        ({<<"after">>, Text, true}, Map) -> Map#{'after' => Text};
        ({<<"group">>, Group, _}, Map) -> Map#{group => Group};
        ({<<"states">>, States, _}, Map) ->
            Map#{states => [binary_to_existing_atom(State) || State <- binary:split(States, <<",">>, [global])]};
        ({<<"body_bytes">>, Bytes, _}, Map) -> Map#{body_bytes_max => binary_to_integer(Bytes)};
        ({<<"max">>, Max, _}, Map) -> Map#{max => binary_to_integer(Max)};
        ({<<"timeout">>, Timeout, _}, Map) -> Map#{timeout => binary_to_integer(Timeout)};
        (_, Map) -> Map
    end, #{timeout => ?LIMIT}, Options),
    case Headers of
        [] -> Given;
        _ -> Given#{headers => Headers}
    end.

%% Whether findings are those that the step writes; else what they are.
found({ok, #{findings := Findings, missing := Missing}}, Count, Expect) when
    length(Missing) =:= Count, length(Findings) =:= length(Expect)
->
    Are = [finding(Word, Finding) || {Finding, Words} <- lists:zip(Findings, Expect), Word <- Words],
    case lists:all(fun(Is) -> Is end, Are) of
        true -> {ok, as_written};
        false -> {ok, Findings}
    end;
found(Answer, _, _) ->
    Answer.

finding({none, Code, _}, #{code := Is}) -> atom_to_binary(Is) =:= Code;
finding({<<"members">>, Count, _}, #{members := Members}) -> length(Members) =:= binary_to_integer(Count);
finding({<<"messages">>, Count, _}, #{messages := Messages}) -> Messages =:= binary_to_integer(Count);
finding({<<"group">>, Group, _}, #{group := Is}) -> Is =:= Group.

%% Whether an explanation is the one that the step writes; else what it is.
explained(#{accounts := Accounts, missing := Missing} = Told, Count, Expect, State) when length(Missing) =:= Count ->
    Wanted = lists:sort([{id(Member, State), Words} || [{none, Member, _} | Words] <- Expect, Member =/= <<"error">>]),
    Members = [Member || {Member, _} <- Wanted],
    Pairs = case [Member || #{member := Member} <- Accounts] of
        Members -> lists:zip(Accounts, Wanted);
        _ -> [none]
    end,
    IsSo = fun
        ({Account, {_, Words}}) -> lists:all(fun(Word) -> so(Word, Account, State) end, Words);
        (none) -> false
    end,
    case lists:all(IsSo, Pairs) of
        true -> as_written;
        false -> Told
    end;
explained(Told, _, _, _) ->
    Told.

so({none, Known, _}, #{known := Is, lease_ms := Lease, ready_at_ms := Ready}, _) ->
    is_integer(Lease) =:= (Is =:= leased) andalso is_integer(Ready) =:= (Is =:= delayed) andalso
        case Known of
            <<"done">> -> Is =:= acked orelse Is =:= forgotten;
            _ -> atom_to_binary(Is) =:= Known
        end;
so({<<"queue">>, Queue, _}, #{queue := Is}, _) -> Is =:= Queue;
so({<<"holders">>, Count, _}, #{holders := Holders}, _) -> length(Holders) =:= binary_to_integer(Count);
so({Key, Member, _}, Account, State) when Key =:= <<"owner">>; Key =:= <<"lessee">> ->
    maps:get(binary_to_existing_atom(Key), Account) =:= id(Member, State);
so({Key, Number, _}, Account, _) ->
    maps:get(binary_to_existing_atom(Key), Account) =:= binary_to_integer(Number).

%% What a step says of a page beside its messages.
seen_whole(#{cursor := Cursor, missing := Missing}, Options, #{cursors := Cursors} = State) ->
    Wanted = [binary_to_integer(Count) || {<<"missing">>, Count, _} <- Options],
    ?assertEqual(lists:sum(Wanted), length(Missing)),
    case [Name || {<<"cursor">>, Name, _} <- Options] of
        [] -> State;
        [<<"none">>] ->
            ?assertEqual(undefined, Cursor),
            State;
        [Name] ->
            ?assert(is_binary(Cursor)),
            State#{cursors := Cursors#{Name => Cursor}}
    end.

dated(#{accepted_ms := Accepted, state := State, ready_at_ms := Ready, lease_ms := Lease}) ->
    ?assert(Accepted > 0),
    ?assertEqual({State =:= delayed, State =:= leased}, {is_integer(Ready), is_integer(Lease)}).

%% Asks until that is the answer, or an error.
%% Settings between spaces; one without a value is unset.
settings(Text) ->
    Pairs = [binary:split(Pair, <<"=">>) || Pair <- binary:split(Text, <<" ">>, [global])],
    maps:from_list([{Key, unset(Value)} || [Key, Value] <- Pairs]).

unset(<<>>) -> undefined;
unset(Value) -> Value.

shown(Key, Value) when is_integer(Value) -> shown(Key, integer_to_binary(Value));
shown(Key, Value) -> <<(atom_to_binary(Key))/binary, "=", Value/binary>>.

wanted([[{_, <<"empty">>, false}]]) -> [];
wanted(Expect) -> [Text || [{_, Text, _} | _] <- Expect].

asked(Ask, Wanted) ->
    Last = fun() ->
        case Ask() of
            {error, _} = Error -> throw(Error);
            Answer -> {Answer, Wanted}
        end
    end,
    try until(Last) of
        ok -> met
    catch
        throw:{error, _} = Error -> Error
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

expect(met, [[{_, <<"error">>, false}, {_, Wanted, _}]], _State) ->
    error({expected_error, Wanted});
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
expect({replied, Reply}, [Words], State) ->
    [checked(Word, Reply) || Word <- Words],
    State;
expect({page, #{messages := Messages} = Page, Options}, Expect, State) ->
    Groups = case Expect of
        [[{_, <<"empty">>, false}]] -> [];
        _ -> Expect
    end,
    length(Messages) =:= length(Groups) orelse error({page, Page}),
    After = lists:foldl(fun({M, Words}, Acc) -> same(M, Words, Acc) end, State, lists:zip(Messages, Groups)),
    [dated(Message) || Message <- Messages],
    seen_whole(Page, Options, After);
expect({redriven, #{missing := Missing} = Redriven, Options}, [Wanted], State) ->
    [?assertEqual(binary_to_integer(Count), maps:get(binary_to_existing_atom(Key), Redriven)) || {Key, Count, _} <- Wanted],
    ?assertEqual(lists:sum([binary_to_integer(Count) || {<<"missing">>, Count, _} <- Options]), length(Missing)),
    State;
expect({codes, Codes}, [Wanted], State) ->
    ?assertEqual([binary_to_integer(Code) || {_, Code, _} <- Wanted], Codes),
    State;
expect({reader, Reader}, [[Name]], State) ->
    bind(readers, Name, Reader, State);
expect({subscribed, A, Subscription}, [[S]], State) ->
    bind(subscriptions, S, {A, Subscription}, State);
expect({ok, []}, [[{_, <<"empty">>, false}]], State) ->
    State;
expect(ok, [[{_, <<"ok">>, false}]], State) ->
    State;
expect({ok, #{id := _} = Receipt}, [Words], State) ->
    same(Receipt, Words, State);
expect({ok, [#{copies := _} | _] = Receipts}, [Words], State) ->
    {Names, Fields} = lists:partition(fun({Key, _, _}) -> Key =:= none end, Words),
    ?assertEqual(length(Names), length(Receipts)),
    lists:foldl(fun({R, Name}, Acc) -> same(R, [Name | Fields], Acc) end, State, lists:zip(Receipts, Names));
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
checked({<<"bytes">>, Value, _}, Got) ->
    ?assertEqual(binary_to_integer(Value), maps:get(body_bytes, Got));
checked({<<"state">>, Value, _}, Got) ->
    ?assertEqual(binary_to_existing_atom(Value), maps:get(state, Got));
checked({<<"group">>, Value, _}, Got) ->
    ?assertEqual(Value, maps:get(group, Got));
checked({<<"key">>, Value, _}, Got) ->
    ?assertEqual(Value, maps:get(key, Got));
checked({<<"is_duplicate">>, Value, _}, Got) ->
    ?assertEqual(binary_to_existing_atom(Value), maps:get(is_duplicate, Got));
checked({Key, Value, _}, Got) ->
    ?assertEqual({Key, binary_to_integer(Value)}, {Key, maps:get(binary_to_existing_atom(Key), Got)}).
