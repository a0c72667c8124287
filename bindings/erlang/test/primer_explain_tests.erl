%% @doc What every member knows of a message.
-module(primer_explain_tests).

-include_lib("eunit/include/eunit.hrl").

-import(primer_testing, [each/1, member/0]).

all_test_() ->
    each([
        fun an_explanation_says_what_a_message_is/0,
        fun what_is_no_id_is_a_wrong_call/0,
        fun a_closed_member_answers_so/0
    ]).

an_explanation_says_what_a_message_is() ->
    Member = member(),
    {ok, [#{id := Me}]} = primer:members(Member),
    {ok, Queue} = primer:queue(Member, jobs),
    {ok, #{id := Id}} = primer:enqueue(Queue, <<"one">>),
    {ok, #{accounts := [Account], missing := []}} = primer:explain(Member, Id),
    {Accepted, Rest} = maps:take(accepted_ms, Account),
    ?assert(Accepted > 0),
    ?assertEqual(
        #{
            member => Me, known => ready, id => Id, queue => <<"jobs">>, group => undefined, attempts => 0,
            owner => Me, holders => [Me], confirmed => 1, lessee => undefined, lease_ms => undefined,
            ready_at_ms => undefined, expires_ms => undefined
        },
        Rest
    ).

what_is_no_id_is_a_wrong_call() ->
    Member = member(),
    [
        ?assertMatch({error, {wrong_call, invalid_argument, #{number := 101}}}, primer:explain(Member, Id))
     || Id <- [<<"no id">>, <<>>, "7", 7]
    ].

a_closed_member_answers_so() ->
    Member = member(),
    ok = primer:close(Member),
    ?assertMatch({error, {member_down, closed, #{number := 501}}}, primer:explain(Member, <<"0000000000000001-1">>)).
