%% @doc What the scenarios cannot say of topics, keys and who may be a member: messages, processes, terms.
-module(primer_news_tests).

-include_lib("eunit/include/eunit.hrl").

-import(primer_testing, [each/1, member/0]).

%% Only a failing test waits that long.
-define(LIMIT, 20_000).
-define(CLOSED, {error, {member_down, closed, #{number := 501, reason := _}}}).
-define(WRONG(Number), {error, {wrong_call, _, #{number := Number, reason := _}}}).

all_test_() ->
    each([
        fun broadcasts_come_as_messages/0,
        fun bodies_are_binaries_or_iolists_of_any_bytes/0,
        fun two_readers_hear_the_same_each_for_its_process/0,
        fun a_closed_reader_sends_nothing_more/0,
        fun closing_answers_who_waits_in_another_process/0,
        fun a_reader_ends_with_its_process/0,
        fun readers_of_a_closed_member_say_so/0,
        fun changes_come_as_messages/0,
        fun entries_are_maps_in_order/0,
        fun names_are_binaries_atoms_or_strings/0,
        fun errors_say_their_number/0,
        fun another_cluster_is_refused/0,
        fun an_unknown_option_is_told_with_the_nearest/0,
        fun every_option_of_the_table_is_known/0,
        fun what_is_no_handle_is_badarg/0,
        fun eviction_is_by_the_id/0,
        fun a_weak_handle_keeps_nothing_open/0
    ]).

id(Member) ->
    {ok, Members} = primer:members(Member),
    [Id] = [Id || #{is_self := true, id := Id} <- Members],
    Id.

next(Reader) ->
    {ok, News} = primer:next(Reader, ?LIMIT),
    News.

broadcasts_come_as_messages() ->
    Member = member(),
    Id = id(Member),
    {ok, Chat} = primer:on(Member, <<"chat">>),
    ok = primer:broadcast(Member, <<"other">>, <<"not here">>),
    ok = primer:broadcast(Member, <<"chat">>, <<"hello">>),
    receive
        {primer, Chat, Broadcast} ->
            ?assertEqual(
                #{topic => <<"chat">>, from => Id, body => <<"hello">>, missed => 0}, Broadcast
            )
    end,
    Bodies = [integer_to_binary(N) || N <- lists:seq(1, 200)],
    [ok = primer:broadcast(Member, <<"chat">>, Body) || Body <- Bodies],
    ?assertEqual(Bodies, [maps:get(body, next(Chat)) || _ <- Bodies]),
    {ok, []} = primer:take(Chat, 10).

bodies_are_binaries_or_iolists_of_any_bytes() ->
    Member = member(),
    {ok, Topic} = primer:on(Member, "bytes"),
    {ok, Watch} = primer:watch(Member, "bytes"),
    Bodies = [
        <<>>, <<0>>, <<"a", 0, "b", 255, 0>>, [<<0>>, "text", [0, 255]],
        binary:copy(<<0>>, 4_097), binary:copy(<<"x">>, 65_536)
    ],
    [
        begin
            Wanted = iolist_to_binary(Body),
            ok = primer:broadcast(Member, "bytes", Body),
            ?assertEqual(Wanted, maps:get(body, next(Topic))),
            ok = primer:put(Member, "bytes", Body),
            ?assertEqual({ok, Wanted}, primer:get(Member, "bytes")),
            ?assertEqual(Wanted, maps:get(value, next(Watch)))
        end
     || Body <- Bodies
    ].

two_readers_hear_the_same_each_for_its_process() ->
    Member = member(),
    Parent = self(),
    Readers = [
        spawn_link(fun() ->
            {ok, Topic} = primer:on(Member, chat),
            Parent ! ready,
            Parent ! {self(), [maps:get(body, next(Topic)) || _ <- [1, 2, 3]]}
        end)
     || _ <- [1, 2]
    ],
    [receive ready -> ok end || _ <- Readers],
    {ok, Mine} = primer:on(Member, chat),
    {ok, Second} = primer:on(Member, chat),
    Bodies = [<<"1">>, <<"2">>, <<"3">>],
    [ok = primer:broadcast(Member, chat, Body) || Body <- Bodies],
    [receive {Reader, Heard} -> ?assertEqual(Bodies, Heard) end || Reader <- Readers],
    ?assertEqual(Bodies, [maps:get(body, next(Mine)) || _ <- Bodies]),
    ?assertEqual(Bodies, [maps:get(body, next(Second)) || _ <- Bodies]).

a_closed_reader_sends_nothing_more() ->
    Member = member(),
    {ok, Topic} = primer:on(Member, chat),
    {ok, Still} = primer:on(Member, chat),
    [ok = primer:broadcast(Member, chat, Body) || Body <- ["1", "2", "3"]],
    #{body := <<"1">>} = next(Topic),
    ok = primer:close(Topic),
    ok = primer:broadcast(Member, chat, "4"),
    [?assertEqual(Body, maps:get(body, next(Still))) || Body <- [<<"1">>, <<"2">>, <<"3">>, <<"4">>]],
    ?assertEqual({messages, []}, process_info(self(), messages)),
    ?assertMatch(?CLOSED, primer:next(Topic, ?LIMIT)),
    ok = primer:close(Topic),
    ?assertEqual({messages, []}, process_info(self(), messages)).

closing_answers_who_waits_in_another_process() ->
    Member = member(),
    {ok, Queue} = primer:queue(Member, jobs),
    Parent = self(),
    Opens = [
        fun() -> primer:on(Member, chat) end,
        fun() -> primer:watch(Member, "") end,
        fun() -> primer:events(Member) end,
        fun() -> primer:subscribe(Queue) end,
        fun() -> primer:subscribe(Queue, #{mode => pull}) end
    ],
    [
        begin
            Pid = spawn_link(fun() ->
                {ok, Reader} = Open(),
                Parent ! {self(), reader, Reader},
                Parent ! {self(), answer, primer:next(Reader, infinity)}
            end),
            Reader = receive {Pid, reader, Opened} -> Opened end,
            ok = primer:close(Reader),
            ok = primer:close(Reader),
            receive {Pid, answer, Answer} -> ?assertMatch(?CLOSED, Answer) end
        end
     || Open <- Opens
    ],
    ?assertEqual({messages, []}, process_info(self(), messages)).

a_reader_ends_with_its_process() ->
    Member = member(),
    Parent = self(),
    {Pid, Monitor} = spawn_monitor(fun() ->
        {ok, Topic} = primer:on(Member, chat),
        Parent ! {topic, Topic},
        receive never -> ok end
    end),
    Topic = receive {topic, Made} -> Made end,
    ok = primer:broadcast(Member, chat, "x"),
    exit(Pid, kill),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end,
    until_closed(Topic),
    ok = primer:broadcast(Member, chat, "y"),
    {ok, []} = primer:take(Topic, 10).

%% The VM tells the handle of the death after it told the monitor.
until_closed(Reader) ->
    case primer:next(Reader, 0) of
        ?CLOSED ->
            ok;
        empty ->
            timer:sleep(10),
            until_closed(Reader)
    end.

readers_of_a_closed_member_say_so() ->
    Member = member(),
    {ok, Topic} = primer:on(Member, chat),
    {ok, Watch} = primer:watch(Member, ""),
    ok = primer:broadcast(Member, chat, "last"),
    ok = primer:put(Member, key, "last"),
    ok = primer:close(Member),
    #{body := <<"last">>} = next(Topic),
    #{value := <<"last">>} = next(Watch),
    ?assertMatch(?CLOSED, primer:next(Topic, ?LIMIT)),
    ?assertMatch(?CLOSED, primer:next(Watch, ?LIMIT)),
    {ok, Late} = primer:on(Member, chat),
    receive {primer, Late, What} -> ?assertMatch(?CLOSED, What) end,
    Calls = [
        fun() -> primer:broadcast(Member, chat, "x") end,
        fun() -> primer:put(Member, key, "x") end,
        fun() -> primer:get(Member, key) end,
        fun() -> primer:delete(Member, key) end,
        fun() -> primer:list(Member, "") end,
        fun() -> primer:evict(Member, lists:duplicate(32, $1)) end,
        fun() -> primer:reclaim(Member, true) end
    ],
    [?assertMatch(?CLOSED, Call()) || Call <- Calls].

changes_come_as_messages() ->
    Member = member(),
    {ok, Watch} = primer:watch(Member, <<"job/">>),
    {ok, All} = primer:watch(Member, ""),
    ok = primer:put(Member, <<"other">>, <<"x">>),
    ok = primer:put(Member, <<"job/1">>, <<"new">>),
    ok = primer:delete(Member, <<"job/1">>),
    ok = primer:delete(Member, <<"job/1">>),
    New = #{key => <<"job/1">>, value => <<"new">>, missed => 0},
    receive {primer, Watch, First} -> ?assertEqual(New, First) end,
    ?assertEqual(New#{value := undefined}, next(Watch)),
    ?assertEqual(
        [{<<"other">>, <<"x">>}, {<<"job/1">>, <<"new">>}, {<<"job/1">>, undefined}],
        [{Key, Value} || _ <- [1, 2, 3], #{key := Key, value := Value} <- [next(All)]]
    ),
    ?assertEqual({messages, []}, process_info(self(), messages)).

entries_are_maps_in_order() ->
    Member = member(),
    undefined = primer:get(Member, "b"),
    {ok, []} = primer:list(Member, ""),
    [ok = primer:put(Member, Key, [Key, 0]) || Key <- ["c", "a", "b/2", "b/1"]],
    {ok, Entries} = primer:list(Member, ""),
    ?assertEqual([<<"a">>, <<"b/1">>, <<"b/2">>, <<"c">>], [Key || #{key := Key} <- Entries]),
    [
        ?assertMatch(#{value := <<Key:(byte_size(Key))/binary, 0>>, at_ms := At, others := []} when At > 0, Entry)
     || #{key := Key} = Entry <- Entries
    ],
    {ok, [#{key := <<"b/1">>}, #{key := <<"b/2">>}]} = primer:list(Member, 'b/').

names_are_binaries_atoms_or_strings() ->
    Member = member(),
    [
        begin
            {ok, Topic} = primer:on(Member, Name),
            ok = primer:broadcast(Member, Name, "x"),
            #{topic := Wanted} = next(Topic),
            ok = primer:close(Topic),
            ok = primer:put(Member, Name, "x"),
            {ok, [#{key := Wanted}]} = primer:list(Member, Name),
            ok = primer:delete(Member, Name)
        end
     || {Name, Wanted} <- [
            {<<"jobs">>, <<"jobs">>}, {jobs, <<"jobs">>}, {"jobs", <<"jobs">>},
            {"gr\x{fc}n", <<"gr\x{fc}n"/utf8>>}
        ]
    ],
    Calls = fun(Name) -> [
        primer:on(Member, Name), primer:broadcast(Member, Name, ""), primer:put(Member, Name, ""),
        primer:get(Member, Name), primer:delete(Member, Name), primer:list(Member, Name),
        primer:watch(Member, Name), primer:evict(Member, Name)
    ] end,
    [
        ?assertMatch(?WRONG(101), Answer)
     || Name <- [<<255>>, [a], 7, {}, self(), [$a | b]], Answer <- Calls(Name)
    ],
    [
        ?assertMatch(?WRONG(101), primer:rotate(Member, Secrets))
     || Secrets <- ["one", <<"one">>, one, ["one" | "two"], [<<255>>], [7], #{}]
    ].

errors_say_their_number() ->
    Member = member(),
    Large = binary:copy(<<"x">>, 65_537),
    ?assertMatch(?WRONG(104), primer:broadcast(Member, chat, Large)),
    ?assertMatch(?WRONG(104), primer:put(Member, key, Large)),
    [?assertMatch(?WRONG(101), Answer) || Answer <- [
        primer:on(Member, ""), primer:broadcast(Member, "", "x"), primer:put(Member, "", "x"),
        primer:evict(Member, "no id"), primer:evict(Member, id(Member)),
        primer:open(#{secret => "short"}), primer:open(#{secret => ""}), primer:open(#{tls_ca => "only"}),
        primer:open(#{discover => moon}), primer:open(#{retire_after_ms => 0}), primer:open(#{data_dir => ""})
    ]],
    ?assertMatch(?WRONG(102), primer:evict(Member, <<"00000000000000000000000000000001">>)),
    ?assertMatch(?WRONG(106), primer:rotate(Member, ["one-2c5bd9a0f1e34b7796a8"])),
    ?assertMatch(?WRONG(106), primer:open(#{listen => "0.0.0.0:0"})),
    {ok, 0} = primer:reclaim(Member, false),
    {ok, Trusted} = primer:open(#{listen => "127.0.0.1:0", secret => "one-2c5bd9a0f1e34b7796a8"}),
    Four = [["secret-", $a + N, "-2c5bd9a0f1e34b7796a8"] || N <- [1, 2, 3, 4]],
    [?assertMatch(?WRONG(101), primer:rotate(Trusted, Secrets)) || Secrets <- [[], Four, ["short"]]],
    ok = primer:rotate(Trusted, tl(Four)),
    ok = primer:close(Trusted).

another_cluster_is_refused() ->
    One = #{listen => "127.0.0.1:0", discover => none},
    {ok, First} = primer:open(One#{cluster => news_first}),
    {ok, Second} = primer:open(One#{cluster => news_second}),
    ?assertMatch(?WRONG(107), primer:join(Second, primer:address(First))),
    Secrets = ["one-2c5bd9a0f1e34b7796a8", "two-77f0c1d2e3f4a5b6c7d8"],
    {ok, Third} = primer:open(One#{cluster => news_first, secret => Secrets}),
    ?assertMatch(?WRONG(107), primer:join(Third, primer:address(First))),
    ok = primer:rotate(Third, [<<"two-77f0c1d2e3f4a5b6c7d8">>]),
    {ok, Fourth} = primer:open(One#{cluster => news_first, secret => 'two-77f0c1d2e3f4a5b6c7d8'}),
    ok = primer:join(Fourth, primer:address(Third)),
    [ok = primer:close(Member) || Member <- [First, Second, Third, Fourth]].

an_unknown_option_is_told_with_the_nearest() ->
    [
        ?assertMatch(
            {error, {wrong_call, invalid_argument, #{number := 101, option := Option, nearest := Nearest}}},
            primer:open([{binary_to_list(Option), "x"}])
        )
     || {Option, Nearest} <- [
            {<<"secrets">>, <<"secret">>}, {<<"data">>, <<"data_dir">>}, {<<"discovr">>, <<"discover">>},
            {<<"retire_after">>, <<"retire_after_ms">>}, {<<"lease_mss">>, <<"lease_ms">>}
        ]
    ].

every_option_of_the_table_is_known() ->
    {ok, Table} = file:read_file(filename:join(filename:dirname(hd(primer_scenario:files())), "../surface.toml")),
    {match, Found} = re:run(Table, "of = \"Options\"\nname = \"([a-z_]+)\"", [global, {capture, [1], list}]),
    Keys = lists:usort(lists:append(Found) ++ [
        "secret", "tls_ca", "tls_cert", "tls_key", "data_dir", "advertise", "retire_after_ms", "discover"
    ]),
    ?assert(length(Keys) >= 19),
    %% All of them at a time, and a last one that is not known: only that is told.
    Pairs = [{Key, "1"} || Key <- Keys, Key =/= "on_short", Key =/= "placement", Key =/= "discover"],
    ?assertMatch(
        {error, {wrong_call, invalid_argument, #{option := <<"colour">>}}},
        primer:open(Pairs ++ [{on_short, wait}, {placement, sticky}, {discover, none}, {colour, red}])
    ).

what_is_no_handle_is_badarg() ->
    Member = member(),
    {ok, Topic} = primer:on(Member, chat),
    Calls = [
        fun() -> primer:on(Topic, chat) end,
        fun() -> primer:broadcast(make_ref(), chat, "x") end,
        fun() -> primer:put(Topic, key, "x") end,
        fun() -> primer:put(Member, key, [a]) end,
        fun() -> primer:broadcast(Member, chat, not_iodata) end,
        fun() -> primer:get(Topic, key) end,
        fun() -> primer:watch(not_a_member, key) end,
        fun() -> primer:reclaim(Member, perhaps) end,
        fun() -> primer:rotate(Topic, []) end,
        fun() -> primer:credit(Topic, 1) end
    ],
    [?assertError(badarg, Call()) || Call <- Calls].

eviction_is_by_the_id() ->
    {ok, First} = primer:open(#{listen => "127.0.0.1:0"}),
    {ok, Events} = primer:events(First),
    {ok, Second} = primer:open(#{seeds => [primer:address(First)]}),
    Id = id(Second),
    receive {primer, Events, #{kind := joined, member := Id}} -> ok end,
    {ok, OfSecond} = primer:events(Second),
    {ok, Queue} = primer:queue(Second, jobs),
    {ok, _} = primer:enqueue(Queue, "kept", #{copies => 1}),
    ok = primer:evict(First, Id),
    receive {primer, Events, #{kind := evicted, member := Id}} -> ok end,
    receive {primer, OfSecond, #{kind := evicted, member := Id}} -> ok end,
    {ok, 1} = primer:reclaim(Second, true),
    {ok, [#{body := <<"kept">>} = Delivery]} = primer:'receive'(Queue, #{wait => ?LIMIT}),
    ok = primer:ack(Delivery),
    ok = primer:close(Second),
    ok = primer:close(First).

a_weak_handle_keeps_nothing_open() ->
    Parent = self(),
    {Pid, Monitor} = spawn_monitor(fun() ->
        Member = member(),
        Weak = primer_nif:weak(Member),
        {ok, Strong} = primer_nif:strong(Weak),
        ?assertEqual(id(Member), id(Strong)),
        false = primer_nif:is_closed(Weak),
        Parent ! {weak, Weak},
        receive done -> {Member, Strong} end
    end),
    Weak = receive {weak, Given} -> Given end,
    {ok, Held} = primer_nif:strong(Weak),
    Pid ! done,
    receive {'DOWN', Monitor, process, Pid, normal} -> ok end,
    %% It lives as long as somebody refers to it.
    {ok, [_]} = primer:members(Held),
    ok = primer:close(Held),
    true = primer_nif:is_closed(Weak),
    {Last, LastMonitor} = spawn_monitor(fun() -> Parent ! {weak, primer_nif:weak(member())} end),
    receive {'DOWN', LastMonitor, process, Last, normal} -> ok end,
    Gone = receive {weak, Other} -> Other end,
    until_gone(Gone).

until_gone(Weak) ->
    case primer_nif:strong(Weak) of
        undefined ->
            true = primer_nif:is_closed(Weak);
        {ok, _} ->
            true = erlang:garbage_collect(),
            timer:sleep(10),
            until_gone(Weak)
    end.
