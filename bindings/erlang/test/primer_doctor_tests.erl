%% @doc Why nothing is delivered.
-module(primer_doctor_tests).

-include_lib("eunit/include/eunit.hrl").

-import(primer_testing, [each/1, member/0]).

all_test_() ->
    each([
        fun a_diagnosis_says_what_is_the_matter/0,
        fun a_closed_member_answers_so/0
    ]).

a_diagnosis_says_what_is_the_matter() ->
    Member = member(),
    {ok, [#{id := Me}]} = primer:members(Member),
    {ok, Jobs} = primer:queue(Member, jobs),
    ?assertMatch({ok, #{findings := [#{code := empty}]}}, primer:doctor(Jobs)),
    {ok, _} = primer:enqueue_many(Jobs, [<<"one">>, <<"two">>]),
    {ok, [Taken]} = primer:'receive'(Jobs, #{wait => 20_000}),
    ok = primer:pause(Jobs, in),
    {ok, #{findings := [First, Second], facts := [Facts], missing := []}} = primer:doctor(Jobs),
    ?assertEqual(#{code => no_consumer, group => undefined, messages => 1, members => [Me]}, First),
    ?assertMatch(#{code := paused_in}, Second),
    {Oldest, Rest} = maps:take(oldest_ms, Facts),
    {Lease, Others} = maps:take(next_lease_ms, Rest),
    ?assert(is_integer(Oldest) andalso Lease > 0),
    ?assertEqual(
        #{
            member => Me, group => undefined, ready => 1, leased => 1, delayed => 0, standby => 0, stranded => 0,
            next_ready_ms => undefined, lessees => [Me], owners => [], receives => 0, subscriptions => 0, credit => 0,
            paused => in, paused_by => undefined, messages_max => undefined, bytes_max => undefined, is_full => false,
            memory_percent => 0
        },
        Others
    ),
    ok = primer:ack(Taken).

a_closed_member_answers_so() ->
    Member = member(),
    {ok, Jobs} = primer:queue(Member, jobs),
    ok = primer:close(Member),
    ?assertMatch({error, {member_down, closed, #{number := 501}}}, primer:doctor(Jobs)).
