%% @doc What a producer asks of a message beside its copies, and what becomes of one that is rejected.
-module(primer_terms_tests).

-include_lib("eunit/include/eunit.hrl").

-import(primer_testing, [each/1, member/0]).

%% A lease, and a delay, that no test waits for.
-define(LONG, 3_600_000).
%% Only a failing test waits that long.
-define(LIMIT, 20_000).
-define(WRONG, {error, {wrong_call, invalid_argument, #{number := 101}}}).
-define(WRONG(Option), {error, {wrong_call, invalid_argument, #{number := 101, option := Option}}}).

all_test_() ->
    each([
        fun the_first_of_the_order_comes_first/0,
        fun a_batch_says_of_each_message_its_priority/0,
        fun messages_of_one_key_come_in_line/0,
        fun equal_dedup_keys_are_one_message/0,
        fun a_batch_shares_its_terms/0,
        fun a_message_waits_for_its_date/0,
        fun at_most_once_is_finished_when_it_is_given_out/0,
        fun what_is_rejected_goes_on_with_its_reason/0,
        fun a_reason_is_any_text/0,
        fun a_rejected_lease_of_another_process_is_gone/0,
        fun the_member_s_own_number_of_attempts_counts/0,
        fun terms_that_there_are_not_are_refused/0
    ]).

queues() ->
    Member = member(),
    {ok, Queue} = primer:queue(Member, <<"jobs">>),
    {ok, Dead} = primer:queue(Member, <<"jobs.dead">>),
    {Queue, Dead}.

one(Queue) ->
    {ok, [Delivery]} = primer:'receive'(Queue, #{wait => ?LIMIT, lease => ?LONG}),
    Delivery.

the_first_of_the_order_comes_first() ->
    {Queue, _} = queues(),
    [{ok, _} = primer:enqueue(Queue, <<P>>, #{priority => P}) || P <- lists:seq(0, 9)],
    {ok, _} = primer:enqueue(Queue, <<"usual">>),
    [
        begin
            #{body := Body, priority := Priority} = Delivery = one(Queue),
            ok = primer:ack(Delivery)
        end
     || {Body, Priority} <-
            [{<<P>>, P} || P <- [9, 8, 7, 6, 5, 4]] ++ [{<<"usual">>, 4}] ++ [{<<P>>, P} || P <- [3, 2, 1, 0]]
    ].

%% Inside the NIF's answer neighbours that are alike share what they have in common.
a_batch_says_of_each_message_its_priority() ->
    {Queue, _} = queues(),
    {ok, _} = primer:enqueue_many(Queue, [<<"3">>, <<"4">>]),
    {ok, _} = primer:enqueue_many(Queue, [<<"1">>, <<"2">>], #{priority => 5}),
    {ok, _} = primer:enqueue(Queue, <<"5">>, #{priority => 0}),
    {ok, Batch} = primer:'receive'(Queue, #{max => 10, lease => ?LONG}),
    ?assertEqual(
        [{<<"1">>, 5}, {<<"2">>, 5}, {<<"3">>, 4}, {<<"4">>, 4}, {<<"5">>, 0}],
        [{Body, Priority} || #{body := Body, priority := Priority} <- Batch]
    ).

messages_of_one_key_come_in_line() ->
    {Queue, _} = queues(),
    {ok, _} = primer:enqueue_many(Queue, [<<"1">>, <<"2">>], #{key => <<"ada">>}),
    {ok, _} = primer:enqueue(Queue, <<"3">>, #{key => <<"bob">>}),
    {ok, _} = primer:enqueue(Queue, <<"4">>),
    {ok, #{messages := Shown}} = primer:browse(Queue),
    ?assertEqual([<<"ada">>, <<"ada">>, <<"bob">>, undefined], [Key || #{key := Key} <- Shown]),
    {ok, Batch} = primer:'receive'(Queue, #{max => 10, lease => ?LONG}),
    ?assertEqual(
        [{<<"1">>, <<"ada">>}, {<<"3">>, <<"bob">>}, {<<"4">>, undefined}],
        lists:sort([{Body, Key} || #{body := Body, key := Key} <- Batch])
    ),
    [ok = primer:ack(Delivery) || Delivery <- Batch],
    #{body := <<"2">>, key := <<"ada">>} = one(Queue),
    ?assertMatch(?WRONG, primer:enqueue(Queue, <<"x">>, #{key => <<>>})),
    ?assertMatch(?WRONG(<<"key">>), primer:enqueue(Queue, <<"x">>, #{key => 7})).

equal_dedup_keys_are_one_message() ->
    {Queue, _} = queues(),
    {ok, #{id := Id, is_duplicate := false}} = primer:enqueue(Queue, <<"one">>, #{dedup => <<"order-42">>}),
    Same = #{dedup => <<"order-42">>, dedup_window => 300_000},
    {ok, #{id := Id, is_duplicate := true}} = primer:enqueue(Queue, <<"two">>, Same),
    %% Another window is another key.
    {ok, #{is_duplicate := false}} = primer:enqueue(Queue, <<"three">>, Same#{dedup_window := 60_000}),
    {ok, [#{body := <<"one">>}, #{body := <<"three">>}]} = primer:'receive'(Queue, #{max => 9, lease => ?LONG}),
    {ok, [#{id := Id, is_duplicate := true}]} = primer:enqueue_many(Queue, [<<"four">>], Same),
    ?assertMatch(?WRONG, primer:enqueue_many(Queue, [<<"5">>, <<"6">>], #{dedup => <<"order-43">>})),
    ?assertMatch(?WRONG, primer:enqueue(Queue, <<"x">>, #{dedup => <<>>})),
    ?assertMatch(?WRONG, primer:enqueue(Queue, <<"x">>, #{dedup_window => 1})),
    ?assertMatch(?WRONG(<<"dedup">>), primer:enqueue(Queue, <<"x">>, #{dedup => 7})).

a_batch_shares_its_terms() ->
    {Queue, Dead} = queues(),
    {ok, [_, _]} = primer:enqueue_many(Queue, [<<"1">>, <<"2">>], [{max_attempts, 1}, {priority, 9}]),
    {ok, [First, Second]} = primer:'receive'(Queue, #{max => 3, lease => ?LONG}),
    [ok = primer:nack(Delivery, #{delay => 0}) || Delivery <- [First, Second]],
    {ok, []} = primer:'receive'(Queue),
    Bodies = [maps:get(body, one(Dead)) || _ <- [1, 2]],
    ?assertEqual([<<"1">>, <<"2">>], lists:sort(Bodies)),
    ?assertMatch(?WRONG, primer:enqueue_many(Queue, [<<"1">>], #{priority => 10})),
    {ok, []} = primer:'receive'(Queue).

a_message_waits_for_its_date() ->
    {Queue, _} = queues(),
    Now = erlang:system_time(millisecond),
    {ok, _} = primer:enqueue(Queue, <<"in an hour">>, #{delay => ?LONG}),
    {ok, _} = primer:enqueue(Queue, <<"at its date">>, #{at => Now + ?LONG}),
    {ok, []} = primer:'receive'(Queue),
    [{ok, _} = primer:enqueue(Queue, <<"past">>, #{at => At}) || At <- [0, 1, Now - 1]],
    [?assertMatch(#{body := <<"past">>}, one(Queue)) || _ <- [1, 2, 3]],
    {ok, _} = primer:enqueue(Queue, <<"soon">>, #{delay => 20, ttl => ?LONG}),
    ?assertMatch(#{body := <<"soon">>}, one(Queue)),
    {ok, []} = primer:'receive'(Queue).

at_most_once_is_finished_when_it_is_given_out() ->
    {Queue, _} = queues(),
    {ok, #{copies := 1, wanted := 1}} = primer:enqueue(Queue, <<"once">>, #{at_most_once => true}),
    {ok, [Once]} = primer:'receive'(Queue, #{lease => ?LONG}),
    ?assertMatch({error, {too_late, already_done, #{number := 402}}}, primer:nack(Once, #{delay => 0})),
    {ok, []} = primer:'receive'(Queue),
    {ok, _} = primer:enqueue(Queue, <<"again">>, #{at_most_once => false}),
    ok = primer:nack(one(Queue), #{delay => 0}),
    ?assertMatch(#{body := <<"again">>, attempts := 2}, one(Queue)).

what_is_rejected_goes_on_with_its_reason() ->
    {Queue, Dead} = queues(),
    {ok, _} = primer:enqueue(Queue, <<"one">>, #{headers => #{<<"to">> => <<"ada">>}}),
    Delivery = one(Queue),
    ok = primer:reject(Delivery, <<"no such customer">>),
    ?assertMatch({error, {too_late, already_done, #{number := 402}}}, primer:reject(Delivery, <<"again">>)),
    {ok, []} = primer:'receive'(Queue),
    #{body := <<"one">>, queue := <<"jobs.dead">>, headers := Headers} = Letter = one(Dead),
    Story = maps:from_list(Headers),
    ?assertMatch(
        #{
            <<"to">> := <<"ada">>,
            <<"primer-cause">> := <<"rejected">>,
            <<"primer-reason">> := <<"no such customer">>,
            <<"primer-queue">> := <<"jobs">>
        },
        Story
    ),
    ok = primer:ack(Letter).

a_reason_is_any_text() ->
    {Queue, Dead} = queues(),
    [
        begin
            {ok, _} = primer:enqueue(Queue, <<"one">>),
            %% By the lease alone, too.
            ok = primer:reject(maps:get(handle, one(Queue)), Reason),
            #{headers := Headers} = Letter = one(Dead),
            ?assertEqual({<<"primer-reason">>, Text}, lists:keyfind(<<"primer-reason">>, 1, Headers)),
            ok = primer:ack(Letter)
        end
     || {Reason, Text} <- [
            {<<"b">>, <<"b">>}, {atom, <<"atom">>}, {"list", <<"list">>}, {"gr\x{fc}n", <<"gr\x{fc}n"/utf8>>}
        ]
    ],
    {ok, _} = primer:enqueue(Queue, <<"one">>),
    Delivery = one(Queue),
    [?assertMatch(?WRONG, primer:reject(Delivery, Reason)) || Reason <- [<<255>>, 7, {}, self(), [a]]],
    ?assertError(badarg, primer:reject(Queue, <<"no lease">>)),
    ?assertError(badarg, primer:reject(not_a_lease, <<"no lease">>)),
    ok = primer:ack(Delivery).

a_rejected_lease_of_another_process_is_gone() ->
    {Queue, Dead} = queues(),
    {ok, _} = primer:enqueue(Queue, <<"one">>),
    Delivery = one(Queue),
    {Pid, Monitor} = spawn_monitor(fun() -> ok = primer:reject(Delivery, <<"elsewhere">>) end),
    receive {'DOWN', Monitor, process, Pid, normal} -> ok end,
    ?assertMatch(#{body := <<"one">>}, one(Dead)),
    ?assertMatch({error, {too_late, already_done, _}}, primer:ack(Delivery)).

the_member_s_own_number_of_attempts_counts() ->
    ?assertMatch(?WRONG, primer:open(#{max_attempts => 0})),
    {ok, Member} = primer:open(#{max_attempts => 1, discover => none}),
    {ok, Queue} = primer:queue(Member, <<"jobs">>),
    {ok, Dead} = primer:queue(Member, <<"jobs.dead">>),
    {ok, _} = primer:enqueue(Queue, <<"one">>),
    ok = primer:nack(one(Queue), #{delay => 0}),
    #{headers := Headers} = one(Dead),
    ?assertEqual({<<"primer-cause">>, <<"attempts">>}, lists:keyfind(<<"primer-cause">>, 1, Headers)).

terms_that_there_are_not_are_refused() ->
    {Queue, _} = queues(),
    Types = [
        {priority, -1}, {priority, 256}, {priority, 4.0}, {priority, <<"4">>}, {delay, -1}, {delay, "30s"},
        {delay, infinity}, {at, -1}, {at, {{2030, 1, 1}, {0, 0, 0}}}, {at, 1 bsl 64}, {ttl, -1}, {ttl, soon},
        {max_attempts, -1}, {max_attempts, 1 bsl 32}, {max_attempts, infinity}, {at_most_once, 1},
        {at_most_once, yes}
    ],
    [
        begin
            Name = atom_to_binary(Key),
            ?assertMatch(?WRONG(Name), primer:enqueue(Queue, <<>>, #{Key => Value}))
        end
     || {Key, Value} <- Types
    ],
    Ranges = [
        #{priority => 10}, #{ttl => 0}, #{max_attempts => 0}, #{delay => 1, at => 1},
        #{at_most_once => true, copies => 2}, #{delay => 1 bsl 60}, #{at => 1 bsl 60}
    ],
    [?assertMatch(?WRONG, primer:enqueue(Queue, <<>>, Range)) || Range <- Ranges],
    %% The last option of all is found, and one more is still told.
    ?assertMatch(?WRONG(<<"at_most">>), primer:enqueue(Queue, <<>>, #{at_most_once => true, at_most => 1})),
    {ok, []} = primer:'receive'(Queue).
