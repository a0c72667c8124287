%% @doc What queues are told: settings, pauses, purges, policies.
-module(primer_settings_tests).

-include_lib("eunit/include/eunit.hrl").

-import(primer_testing, [each/1, member/0]).

-define(WRONG, {error, {wrong_call, invalid_argument, #{number := 101}}}).
-define(NUMBER(Number), {error, {_, _, #{number := Number}}}).

all_test_() ->
    each([
        fun settings_are_a_map_and_undefined_unsets_one/0,
        fun a_full_queue_refuses_and_a_paused_one_refuses_or_gives_nothing/0,
        fun a_purged_queue_is_empty_and_what_is_leased_is_over/0,
        fun policies_are_for_names_that_begin_alike/0,
        fun what_is_no_setting_is_a_wrong_call/0,
        fun a_closed_member_answers_so/0
    ]).

jobs() ->
    {ok, Queue} = primer:queue(member(), <<"jobs">>),
    Queue.

settings_are_a_map_and_undefined_unsets_one() ->
    Queue = jobs(),
    ok = primer:configure(Queue, #{copies => 1, lease_ms => 2_000, overflow => drop_oldest}),
    ok = primer:configure(Queue, [{dead_letters, "morgue"}, {messages_max, 10}]),
    Told = #{
        copies => 1, lease_ms => 2_000, overflow => <<"drop_oldest">>, dead_letters => <<"morgue">>, messages_max => 10
    },
    ?assertEqual({ok, Told}, primer:configuration(Queue)),
    ok = primer:configure(Queue, maps:map(fun(_, _) -> undefined end, Told)),
    ?assertEqual({ok, #{}}, primer:configuration(Queue)).

a_full_queue_refuses_and_a_paused_one_refuses_or_gives_nothing() ->
    Queue = jobs(),
    ok = primer:configure(Queue, #{messages_max => 1}),
    {ok, _} = primer:enqueue(Queue, <<"one">>),
    ?assertMatch({error, {not_now, full, #{number := 201}}}, primer:enqueue(Queue, <<"two">>)),
    ok = primer:pause(Queue, out),
    ?assertEqual({ok, []}, primer:'receive'(Queue)),
    ok = primer:pause(Queue, in),
    ?assertMatch({error, {not_now, paused, #{number := 204}}}, primer:enqueue(Queue, <<"two">>)),
    ok = primer:pause(Queue),
    ?assertEqual({ok, #{messages_max => 1, paused => <<"both">>}}, primer:configuration(Queue)),
    ok = primer:resume(Queue),
    ?assertMatch({ok, [#{body := <<"one">>}]}, primer:'receive'(Queue)).

a_purged_queue_is_empty_and_what_is_leased_is_over() ->
    Queue = jobs(),
    {ok, _} = primer:enqueue_many(Queue, [<<"one">>, <<"two">>]),
    {ok, [Delivery]} = primer:'receive'(Queue),
    ok = primer:purge(Queue),
    ?assertEqual({ok, []}, primer:'receive'(Queue)),
    ?assertMatch(?NUMBER(402), primer:ack(Delivery)).

policies_are_for_names_that_begin_alike() ->
    Member = member(),
    ok = primer:set_policy(Member, "mail.", #{lease_ms => 5_000}),
    ok = primer:set_policy(Member, <<>>, #{copies => 1}),
    Both = #{<<>> => #{copies => 1}, <<"mail.">> => #{lease_ms => 5_000}},
    ?assertEqual({ok, Both}, primer:policies(Member)),
    {ok, Queue} = primer:queue(Member, <<"mail.out">>),
    ?assertEqual({ok, #{lease_ms => 5_000}}, primer:configuration(Queue)),
    [ok = primer:remove_policy(Member, "mail.") || _ <- [once, again]],
    ?assertEqual({ok, #{copies => 1}}, primer:configuration(Queue)).

what_is_no_setting_is_a_wrong_call() ->
    Queue = jobs(),
    [
        ?assertMatch(?WRONG, primer:configure(Queue, Wrong))
     || Wrong <- [#{copys => 1}, #{copies => 99}, #{copies => 1.5}, #{paused => up}, #{7 => 1}, 7, [copies]]
    ],
    [?assertMatch(?WRONG, primer:pause(Queue, Direction)) || Direction <- [up, 7, <<255>>]],
    ?assertError(badarg, primer:configuration(make_ref())),
    ?assertEqual({ok, #{}}, primer:configuration(Queue)).

a_closed_member_answers_so() ->
    Member = member(),
    {ok, Queue} = primer:queue(Member, <<"jobs">>),
    ok = primer:close(Member),
    [
        ?assertMatch(?NUMBER(501), Answer)
     || Answer <- [
            primer:configure(Queue, #{copies => 1}), primer:configuration(Queue), primer:pause(Queue),
            primer:resume(Queue), primer:purge(Queue), primer:set_policy(Member, "", #{}),
            primer:remove_policy(Member, ""), primer:policies(Member)
        ]
    ].
